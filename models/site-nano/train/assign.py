"""SimOTA assignment and the loss, with classes masked per anchor.

SimOTA: YOLOX (https://arxiv.org/abs/2107.08430, section 2.1), the cost with the object's own
class probability instead of class x objectness. Class loss: BCE over all anchors with the IoU as
the soft target of assigned anchors, divided by the sum of targets, as in quality focal loss
(https://arxiv.org/abs/2006.04388) with exponent `gamma`. Box loss: GIoU
(https://arxiv.org/abs/1902.09630), in the late phase also L1 on the raw terms (YOLOX).
"""
import torch
import torch.nn.functional as F
from torchvision.ops import box_iou, generalized_box_iou_loss

from model import CLASSES, GROUPS, decode

TOPK, CENTRE = 10, 2.5
BOX_WEIGHT, L1_WEIGHT = 5.0, 1.0
_i = CLASSES.index
# An anchor that answers for a labelled object of the first kind is none of the second kinds, even
# where the photo's set leaves those unlabelled.
EXCLUSIVE = {_i("forklift"): [_i(c) for c in ("vehicle", "machinery", "box")],
             _i("person"): [_i(c) for c in ("vehicle", "machinery", "forklift", "cone", "box")]}


@torch.no_grad()
def simota(boxes, logits, gt, pts, st):
    """boxes [N,4] xyxy, logits [N,C], gt [G,7]. Returns (anchor index, gt index, iou)."""
    empty = (torch.zeros(0, dtype=torch.long),) * 2 + (torch.zeros(0),)
    if not len(gt):
        return empty
    c = (pts + 0.5) * st[:, None]
    x, y = c[:, 0, None], c[:, 1, None]
    in_box = (x > gt[:, 0]) & (y > gt[:, 1]) & (x < gt[:, 2]) & (y < gt[:, 3])
    gx, gy = (gt[:, 0] + gt[:, 2]) / 2, (gt[:, 1] + gt[:, 3]) / 2
    r = CENTRE * st[:, None]
    in_centre = ((x - gx).abs() < r) & ((y - gy).abs() < r)
    cand = (in_box | in_centre).any(1).nonzero()[:, 0]
    if not len(cand):
        return empty
    both = (in_box & in_centre)[cand]
    iou = box_iou(boxes[cand], gt[:, :4])
    cls = F.softplus(-logits[cand][:, gt[:, 4].long()])
    cost = cls + 3.0 * -torch.log(iou + 1e-8) + 1e5 * ~both
    k = min(TOPK, len(cand))
    dyn = iou.topk(k, 0).values.sum(0).int().clamp(1, k)
    order = cost.topk(k, 0, largest=False).indices                     # [k,G]
    match = torch.zeros_like(cost, dtype=torch.bool)
    take = torch.arange(k)[:, None] < dyn
    match[order[take], torch.arange(len(gt)).expand(k, -1)[take]] = True
    many = match.sum(1) > 1
    if many.any():                                       # an anchor answers for one object
        best = cost[many].argmin(1)
        match[many] = False
        match[many.nonzero()[:, 0], best] = True
    a, g = match.nonzero(as_tuple=True)
    return cand[a], g, iou[a, g]


def loss_fn(raw, logits, boxes_list, ignore_list, pts, st, use_l1, class_weight, gamma=0.0):
    """raw [B,N,4 a group], logits [B,N,C] (fp32). Returns total loss and parts."""
    b, n, nc = logits.shape
    raw = raw.unflatten(2, (len(GROUPS), 4)).transpose(1, 2)              # [B,G,N,4]
    box = decode(raw, pts, st)
    xyxy = torch.cat((box[..., :2] - box[..., 2:] / 2, box[..., :2] + box[..., 2:] / 2), -1)
    centre = (pts + 0.5) * st[:, None]
    target = torch.zeros_like(logits)
    weight = torch.ones_like(logits)
    bi, ki, ai, gts = [], [], [], []
    with torch.no_grad():
        for i in range(b):
            gt, ig = boxes_list[i], ignore_list[i]
            if len(ig):
                inside = ((centre[:, None] >= ig[:, :2]) & (centre[:, None] < ig[:, 2:4])).all(-1)
                hit = torch.zeros(n, nc)
                hit.index_add_(1, ig[:, 4].long(), inside.float())
                weight[i][hit > 0] = 0.0
            for k, group in enumerate(GROUPS):
                of = gt[torch.isin(gt[:, 4].long(), torch.tensor(group))]
                a, g, iou = simota(xyxy[i, k], logits[i], of, pts, st)
                if not len(a):
                    continue
                cls = of[g, 4].long()
                for c, others in EXCLUSIVE.items():
                    m = a[(cls == c) & (of[g, 5] == 1)]
                    if len(m):
                        weight[i][m[:, None], torch.tensor(others)] = 1.0
                target[i, a, cls] = iou
                weight[i, a, cls] = of[g, 5]
                bi.append(torch.full_like(a, i)); ki.append(torch.full_like(a, k))
                ai.append(a); gts.append(of[g])
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if gamma:
        bce = bce * (target - logits.detach().sigmoid()).abs() ** gamma
    weight = weight * class_weight
    norm = (target * weight).sum().clamp(min=1.0)
    lc = (bce * weight).sum() / norm
    if not bi:
        return lc, dict(cls=lc.item(), box=0.0, l1=0.0, fg=0)
    bi, ki, ai, gts = (torch.cat(v) for v in (bi, ki, ai, gts))
    w = gts[:, 5] * gts[:, 6]
    lb = (generalized_box_iou_loss(xyxy[bi, ki, ai], gts[:, :4], reduction="none") * w).sum() / w.sum()
    loss = lc + BOX_WEIGHT * lb
    l1 = torch.zeros(())
    if use_l1:
        s, p = st[ai][:, None], pts[ai]
        t = torch.cat(((gts[:, :2] + gts[:, 2:4]) / 2 / s - p,
                       ((gts[:, 2:4] - gts[:, :2]) / s).clamp(min=1e-3).log()), 1)
        l1 = ((raw[bi, ki, ai] - t).abs().sum(1) * w).sum() / w.sum()
        loss = loss + L1_WEIGHT * l1
    return loss, dict(cls=lc.item(), box=lb.item(), l1=l1.item(), fg=len(ai))

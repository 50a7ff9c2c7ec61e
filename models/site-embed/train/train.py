"""Trains the embedding on the cached views: first its projection in closed form, then projection and late layers
by SupCon and InfoNCE. Seeded by step, so that a run that was cut off goes on as if it had not been.

    --steps 0        only the closed form
    --frozen         only the projection is trained
    --dev            `dev_left_out` of classes.toml is left out of training too, and tested on
"""
import argparse
import csv
import json
import os
import time

import numpy as np
import torch
from torch.nn import functional as F

import metrics
from crops import squeeze
from model import SiteEmbed, load_backbone, nuisance_free, tensor
from prepare import STORED, settings


def loss_of(z1, z2, label, group, temperature, weights):
    """SupCon over crops of one class and different sources, InfoNCE over views of one crop. Background (-1) has
    no like but itself, and is a negative to everything."""
    z = torch.cat((z1, z2))
    n = len(z1)
    sim = z @ z.T / temperature
    sim.fill_diagonal_(-1e9)
    log_p = sim - sim.logsumexp(1, keepdim=True)
    at = torch.arange(n)
    same_picture = log_p[torch.cat((at, at + n)), torch.cat((at + n, at))]
    label, group = label.repeat(2), group.repeat(2)
    like = (label[:, None] == label) & (label >= 0)[:, None] & (group[:, None] != group)
    # what is of one class and one source may be the same object: neither for nor against
    unclear = (label[:, None] == label) & (label >= 0)[:, None] & (group[:, None] == group)
    log_s = sim - sim.masked_fill(unclear, -1e9).logsumexp(1, keepdim=True)
    count = like.sum(1)
    some = count > 0
    sup = -(log_s.masked_fill(~like, 0).sum(1)[some] / count[some]).mean()
    info = -same_picture.mean()
    return weights[0] * sup + weights[1] * info, sup.item(), info.item()


@torch.no_grad()
def embed(net, pictures, batch=32):
    return torch.cat([net.late(net.early(tensor(pictures[k:k + batch]))[1])
                      for k in range(0, len(pictures), batch)]).numpy()


def development(cache, index, cfg, size):
    """(pictures, class, group, is query) of the classes left out with --dev."""
    rng = np.random.default_rng(5)
    edge = round(STORED * 0.1)
    pictures, items, query = [], [], []
    wide = np.load(os.path.join(cache, "wide.u8.npy"), mmap_mode="r")
    for c in cfg["dev_left_out"]:
        at = [k for k, i in enumerate(index["train"]) if i["class"] == c]
        for k in rng.choice(at, min(200, len(at)), replace=False):
            pictures.append(squeeze(np.ascontiguousarray(wide[k][edge:-edge, edge:-edge]), size))
            items.append(index["train"][k])
            query.append(False)
    test = np.load(os.path.join(cache, "test.u8.npy"), mmap_mode="r")
    for k, i in enumerate(index["test"]):
        if i["role"] == "distractor":
            pictures.append(squeeze(test[k], size))
            items.append(i)
            query.append(i["class"] in cfg["dev_left_out"])
    return (np.stack(pictures), np.array([i["class"] for i in items]), np.array([i["group"] for i in items]),
            np.array(query))


def dev_score(net, dev):
    pictures, cls, group, query = dev
    z = embed(net, pictures)
    rows = metrics.retrieval(z[query], z, cls[query], cls, group[query], group)
    return metrics.macro(rows, cls[query])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cache", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--steps", type=int, default=450)
    p.add_argument("--batch", type=int, default=96, help="crops; each in two views")
    p.add_argument("--lr", type=float, default=1e-4)
    p.add_argument("--projection-lr", type=float, default=1e-3)
    p.add_argument("--temperature", type=float, default=0.1)
    p.add_argument("--sup", type=float, default=1.0)
    p.add_argument("--info", type=float, default=1.0)
    p.add_argument("--shrink", type=float, default=0.1)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--frozen", action="store_true")
    p.add_argument("--dev", action="store_true")
    p.add_argument("--size", type=int, default=192, help="input of the dev test")
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    cfg = settings()
    index = json.load(open(os.path.join(a.cache, "crops.json")))
    out_of = set(cfg["dev_left_out"]) if a.dev else set()
    use = np.array([k for k, i in enumerate(index["train"]) if i["class"] not in out_of])
    items = [index["train"][k] for k in use]
    names = sorted(set(cfg["trained"]) - out_of)
    label = np.array([names.index(i["class"]) if i["class"] in names else -1 for i in items])
    groups = np.unique([i["group"] for i in items], return_inverse=True)[1]
    mids = np.load(os.path.join(a.cache, "mid.npy"), mmap_mode="r")
    pooled = np.load(os.path.join(a.cache, "pooled.npy"), mmap_mode="r")
    views = mids.shape[1]

    net = SiteEmbed()
    load_backbone(net)
    dev = development(a.cache, index, cfg, a.size) if a.dev else None
    checkpoint = os.path.join(a.out, "last.pt")
    if not os.path.exists(checkpoint):
        nuisance_free(net.embed, pooled[use], a.shrink)
    net = net.eval().to(memory_format=torch.channels_last)
    net.requires_grad_(False)
    net.embed.requires_grad_(True)
    parts = [{"params": [*net.embed.parameters()], "lr": a.projection_lr}]
    if not a.frozen:
        for t in net.tuned():
            t.requires_grad_(True)
        parts.append({"params": net.tuned(), "lr": a.lr})
    opt = torch.optim.AdamW(parts, weight_decay=1e-4)
    peaks = [g["lr"] for g in opt.param_groups]
    step, spent = 0, 0.0
    if os.path.exists(checkpoint):
        saved = torch.load(checkpoint, map_location="cpu")
        net.load_state_dict(saved["net"])
        if saved["opt"]:
            opt.load_state_dict(saved["opt"])
        step, spent = saved["step"], saved["spent"]

    # classes and background equally often, however many crops they have
    kinds = [np.flatnonzero(label == c) for c in range(-1, len(names))]
    share = np.array([2.0] + [1.0] * len(names))
    share /= share.sum()

    def draw(s):
        rng = np.random.default_rng((a.seed, s))
        i = np.array([rng.choice(kinds[k]) for k in rng.choice(len(kinds), a.batch, p=share)])
        v = np.array([rng.choice(views, 2, replace=False) for _ in i])
        return i, v

    def save():
        torch.save({"net": net.state_dict(), "opt": opt.state_dict(), "step": step, "spent": spent,
                    "args": vars(a)}, checkpoint + ".part")
        os.replace(checkpoint + ".part", checkpoint)

    curve = open(os.path.join(a.out, "curve.csv"), "a", newline="")
    table = csv.writer(curve)
    if curve.tell() == 0:
        table.writerow(["step", "minutes", "lr", "supcon", "infonce", "dev_p1", "dev_r10", "dev_map"])
    began, told, sums = time.time(), time.time(), []

    def tell(row):
        table.writerow(row)
        curve.flush()
        print(*row, flush=True)

    if dev and step == 0:
        tell([0, 0, 0, "", "", *dev_score(net, dev).round(4)])
    while step < a.steps:
        ramp = min(1.0, (step + 1) / (0.06 * a.steps)) * 0.5 * (1 + np.cos(np.pi * step / a.steps))
        for g, peak in zip(opt.param_groups, peaks):
            g["lr"] = peak * ramp
        i, v = draw(step)
        rows = use[i]
        if a.frozen:
            x = torch.from_numpy(np.concatenate((pooled[rows, v[:, 0]], pooled[rows, v[:, 1]]))).float()
            z = F.normalize(net.embed(x), dim=1)
        else:
            x = torch.from_numpy(np.concatenate((mids[rows, v[:, 0]], mids[rows, v[:, 1]]))).float()
            z = net.late(x.contiguous(memory_format=torch.channels_last))
        n = len(i)
        loss, sup, info = loss_of(z[:n], z[n:], torch.from_numpy(label[i]), torch.from_numpy(groups[i]),
                                  a.temperature, (a.sup, a.info))
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([q for g in opt.param_groups for q in g["params"]], 5.0)
        opt.step()
        step += 1
        sums.append((sup, info))
        if step % 25 == 0 or step == a.steps:
            spent += time.time() - began
            began = time.time()
            shown = step % 100 == 0 or step == a.steps
            score = dev_score(net, dev).round(4) if dev and shown else ["", "", ""]
            tell([step, round(spent / 60, 2), f"{opt.param_groups[0]['lr']:.2e}",
                  *np.mean(sums, 0).round(4), *score])
            sums = []
        if time.time() - told > 60:
            save()
            told = time.time()
    save()


if __name__ == "__main__":
    main()

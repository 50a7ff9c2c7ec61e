"""Fine-tune on CPU.

The schedule runs on the clock: progress = time spent / --minutes, so the cosine reaches its end
however busy the machine is; the time spent is in the checkpoint.
One process a core, each with one thread and its own half of the batch, gradients averaged once a
step: threads inside every operation wait for each other hundreds of times a step, which on a
shared machine costs more than half of the speed. bf16 with fp32 master weights and channels_last
took 29 ms an image forward and backward on two cores, plain fp32 52, torch.compile 41 or more.
"""
import argparse
import copy
import csv
import math
import os
import time

import cv2
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from assign import loss_fn
from data import Cache, Train
from evaluate import evaluate, mean, torch_predictor
from model import CLASSES, SiteNano, grid, load_coco, widened

PAUSE = 10.0                   # seconds: a longer step was a stopped process; not all time spent


def groups(net, lr, head_lr, wd):
    """Weight decay on matrices only; the new class layers learn faster than the pretrained body."""
    g = {}
    for n, p in net.named_parameters():
        new, dec = n.startswith(("cls_a", "cls_b")), p.ndim > 1
        g.setdefault((new, dec), []).append(p)
    return [dict(params=p, base=head_lr if new else lr, lr=0.0, weight_decay=wd if dec else 0.0)
            for (new, dec), p in g.items()]


def save(path, **state):
    torch.save(state, path + ".tmp")
    os.replace(path + ".tmp", path)


def options():
    ap = argparse.ArgumentParser()
    ap.add_argument("--cache", required=True)
    ap.add_argument("--weights", required=True, help="yolox_nano_coco.onnx")
    ap.add_argument("--out", required=True)
    ap.add_argument("--minutes", type=float, default=115)
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--lr", type=float, default=6e-4)
    ap.add_argument("--head-lr", type=float, default=2e-3)
    ap.add_argument("--wd", type=float, default=0.02)
    ap.add_argument("--gamma", type=float, default=0.0, help="exponent of quality focal loss")
    ap.add_argument("--ema", type=float, default=0.9995)
    ap.add_argument("--eval-every", type=float, default=15, help="minutes")
    ap.add_argument("--eval-size", type=int, default=416)
    ap.add_argument("--procs", type=int, default=2)
    ap.add_argument("--late", type=float, default=0.75, help="share of the time after which: no mosaic, "
                    "L1 loss, larger inputs (YOLOX habit)")
    ap.add_argument("--head-weight", type=float, default=1.0, help="extra weight of bare heads")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--steps", type=int, default=0, help="stop early, for a smoke test")
    ap.add_argument("--resume", action="store_true")
    ap.add_argument("--init", help="start from an earlier run's last.pt instead of the COCO weights")
    return ap.parse_args()


def main(rank, a):
    parent = os.getppid()                      # stop with it, rather than run on as an orphan
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    dist.init_process_group("gloo", init_method=f"file://{os.path.abspath(a.out)}/rendezvous",
                            rank=rank, world_size=a.procs)
    torch.manual_seed(a.seed)
    last, curve = os.path.join(a.out, "last.pt"), os.path.join(a.out, "curve.csv")
    net = load_coco(SiteNano(), a.weights, prior=-3.0).to(memory_format=torch.channels_last)
    if a.init:
        s = torch.load(a.init, map_location="cpu", weights_only=True)["ema"]
        net.load_state_dict({k: widened(s[k], v) for k, v in net.state_dict().items()})
    opt = torch.optim.AdamW(groups(net, a.lr, a.head_lr, a.wd), betas=(0.9, 0.99), fused=True)
    ema, step, spent = copy.deepcopy(net), 0, 0.0
    if a.resume and os.path.exists(last):
        s = torch.load(last, map_location="cpu", weights_only=True)
        net.load_state_dict(s["model"]); ema.load_state_dict(s["ema"]); opt.load_state_dict(s["opt"])
        step, spent = s["step"], s["spent"]
    data = Train(Cache(a.cache, "train"), a.batch // a.procs, a.seed, rank)
    data.class_weight[CLASSES.index("head")] *= a.head_weight
    full, grids, params = Cache(a.cache), {}, list(net.parameters())
    if rank == 0:
        print(f"{len(data.cache.items)} photos, {data.epoch:.0f} draws a pass, step {step}, "
              f"{spent / 60:.1f} of {a.minutes} min spent\nclass weights "
              + " ".join(f"{c} {v:.2f}" for c, v in zip(CLASSES, data.class_weight.tolist())),
              flush=True)

    def checkpoint():
        save(last, model=net.state_dict(), ema=ema.state_dict(), opt=opt.state_dict(), step=step,
             spent=spent)

    def evaluate_now():
        rows, t0 = [], time.time()
        for split, sets in (("val", ("hard-hat-workers", "construction-site-safety")),
                            ("hold", None)):
            for name, d in evaluate(torch_predictor(ema, a.eval_size), full, a.eval_size, split,
                                    sets).items():
                rows.append((split, name, "mean", mean(d, 0), mean(d, 1)))
                rows += [(split, name, c, *v) for c, v in d.items()]
        new = not os.path.exists(curve)
        with open(curve, "a", newline="") as f:
            w = csv.writer(f)
            if new:
                w.writerow(["minutes", "step", "passes", "size", "split", "set", "class", "ap50",
                            "ap50_95"])
            for r in rows:
                w.writerow([f"{spent / 60:.1f}", step, f"{step * a.batch / data.epoch:.2f}",
                            a.eval_size, *r[:3], f"{r[3]:.4f}", f"{r[4]:.4f}"])
        for r in rows:
            if r[2] in ("mean", "helmet", "head"):
                print(f"  {r[0]:4s} {r[1]:26s} {r[2]:7s} AP50 {r[3]:.3f} AP {r[4]:.3f}")
        print(f"  evaluated in {time.time() - t0:.0f} s", flush=True)

    next_save, next_eval = spent + 300, (spent // 60 // a.eval_every + 1) * a.eval_every * 60
    log, t0, tl, n0 = {}, time.time(), time.time(), step
    net.train()
    while True:
        p = min(spent / 60 / a.minutes, 1.0)
        if p >= 1.0 or (a.steps and step >= a.steps) or os.getppid() != parent:
            break
        late = p >= a.late
        x, boxes, ignore = data.batch_at(step, late)
        warm = min(1.0, (step + 1) / 300)
        f = warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * p)))
        for g in opt.param_groups:
            g["lr"] = g["base"] * f
        size = x.shape[1]
        if size not in grids:
            grids[size] = grid(size, size)
        # x is NHWC: permuting gives channels_last without a copy
        x = x.permute(0, 3, 1, 2)
        # predictions in fp32: bf16's 8 bits would cost 1-2 % of a box's side
        raw, logits = net.predict(net.features_fast(x))
        loss, parts = loss_fn(raw, logits, boxes, ignore, *grids[size], late,
                              data.class_weight, a.gamma)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        # One sum over all processes: the gradients, and the first process's clock for everybody.
        now = time.time()
        flat = torch.cat([q.grad.reshape(-1) for q in params]
                         + [torch.tensor([spent + min(now - t0, PAUSE) if rank == 0 else 0.0])])
        dist.all_reduce(flat)
        spent, t0 = float(flat[-1]), now
        for q, v in zip(params, flat[:-1].split([q.numel() for q in params])):
            q.grad.copy_((v / a.procs).view_as(q))
        norm = torch.nn.utils.clip_grad_norm_(params, 20.0)
        if torch.isfinite(norm):
            opt.step()
            d = min(a.ema, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(list(ema.parameters()), params, 1 - d)
        elif rank == 0:
            print("skipped a step: gradient not finite", flush=True)
        step += 1
        if rank:
            continue
        for k, v in dict(parts, norm=float(norm)).items():
            log[k] = log.get(k, 0) + v
        if (step - n0) % 50 == 0:
            print(f"{spent / 60:6.1f} min step {step} p {p:.3f} lr {f * a.lr:.2e} "
                  + " ".join(f"{k} {v / 50:.3f}" for k, v in log.items())
                  + f" {(time.time() - tl) / 50 / a.batch * 1e3:.1f} ms/img", flush=True)
            log, tl = {}, time.time()
        if spent >= next_save:
            checkpoint()
            next_save = spent + 300
        if spent >= next_eval:
            checkpoint()
            evaluate_now()
            net.train()
            next_eval += a.eval_every * 60
            tl = time.time()
    if rank == 0 and os.getppid() == parent:
        checkpoint()
        evaluate_now()
    dist.destroy_process_group()


if __name__ == "__main__":
    args = options()
    os.makedirs(args.out, exist_ok=True)
    meet = os.path.join(args.out, "rendezvous")
    if os.path.exists(meet):
        os.remove(meet)
    mp.spawn(main, (args,), args.procs)

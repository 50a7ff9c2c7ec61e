"""Retrieval figures and their intervals."""
import cv2
import numpy as np


def phash(picture):
    """The common 64-bit perceptual hash: signs of the low frequencies about their median, as -1 and 1."""
    grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(grey.astype(np.float32))[:8, :8].ravel()
    return np.where(low > np.median(low[1:]), 1, -1).astype(np.float32) / 8


def retrieval(queries, gallery, q_class, g_class, q_group, g_group):
    """Per query: precision@1, recall@10 (a right one among ten), average precision. Gallery pictures of the
    query's own source do not take part."""
    rows = []
    for z, c, g in zip(queries, q_class, q_group):
        other = g_group != g
        right = (g_class[other] == c)[np.argsort(-(gallery[other] @ z), kind="stable")]
        at = np.flatnonzero(right)
        if len(at) == 0:
            continue
        rows.append((right[0], right[:10].any(), np.mean(np.arange(1, len(at) + 1) / (at + 1))))
    return np.array(rows, float)


def macro(rows, classes):
    """Mean over classes of the mean over their queries."""
    return np.mean([rows[classes == c].mean(0) for c in np.unique(classes)], 0)


def interval(rows, classes, groups, rounds=1000, seed=1):
    """95 % by drawing sources, within each class."""
    rng = np.random.default_rng(seed)
    by = {c: [rows[(classes == c) & (groups == g)] for g in np.unique(groups[classes == c])]
          for c in np.unique(classes)}
    draws = []
    for _ in range(rounds):
        draws.append(np.mean([np.concatenate([s[k] for k in rng.integers(0, len(s), len(s))]).mean(0)
                              for s in by.values()], 0))
    return np.percentile(draws, [2.5, 97.5], axis=0)


def auroc(negative, positive):
    """Chance that a positive scores above a negative."""
    both = np.concatenate((negative, positive))
    order = np.argsort(both, kind="stable")
    ranks = np.empty(len(both))
    ranks[order] = np.arange(1, len(both) + 1)
    for v in np.unique(both[np.isin(both, both)]) if len(np.unique(both)) < len(both) else ():
        same = both == v
        ranks[same] = ranks[same].mean()
    n, m = len(negative), len(positive)
    return (ranks[n:].sum() - m * (m + 1) / 2) / (n * m)

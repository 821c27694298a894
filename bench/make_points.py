#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the benchmark's points (bench/points.csv): 200 distinct ones in an order without pattern, always the same.

    bench/make_points.py > bench/points.csv
"""
import random

SEED = 20260
COLUMNS = "phase,variant,chip,schedule,harness,batch,q_heads,kv_heads,q_len,kv_len,head_dim,window_left".split(",")
ISA = {"a100-sxm-80gb": 80, "l40s": 89, "rtx-4090": 89, "h100-sxm": 90, "h200": 90, "b200": 100, "rtx-pro-6000": 120, "mi300x": 0}
HEADS = [(1, 1), (8, 8), (8, 1), (16, 16), (32, 8), (40, 8), (64, 8), (128, 128)]
HEAD_DIMS = [64, 80, 96, 128, 192, 256]
LENGTHS = [128, 256, 512, 1000, 1024, 2048, 4096, 8192, 12000, 16384, 32768, 65536, 131072, 262144, 524288, 1048576]
COUNTS = {"prefill": 100, "decode": 70, "encoder": 30}


def schedules(isa, phase):
    if isa == 0:
        return ["fused-generic", "naive-unfused"]
    if phase == "decode":
        paged = ["fa2-sm80-paged", "splitkv-decode", "splitkv-decode-lastcta"]
        return paged + ["fa3-sm90-paged", "splitkv-decode-sm90"] if isa == 90 else paged
    return ["fa2-sm80", "fused-generic"] + (["fa3-sm90", "fa3-sm90", "fa3-sm90-varlen"] if isa == 90 else ["fa2-sm80"])


def draw(rng, phase):
    chip = rng.choice(sorted(ISA))
    schedule = rng.choice(schedules(ISA[chip], phase))
    q_heads, kv_heads = rng.choice(HEADS)
    head_dim = rng.choice(HEAD_DIMS[:4] if ISA[chip] == 0 else HEAD_DIMS)
    window = -1
    if phase == "decode":
        variant = rng.choice(["causal", "causal", "sliding-window"])
        kv_len = rng.choice(LENGTHS[3:])
        q_len = rng.choice([1, 1, 1, 4])
        batch = rng.choice([b for b in [1, 4, 16, 64, 128] if b * kv_len <= 4 * 2**20])
    elif phase == "prefill":
        variant = rng.choice(["dense", "causal", "causal", "sliding-window"])
        q_len = kv_len = rng.choice(LENGTHS[:8] if schedule == "naive-unfused" else LENGTHS)
        batch = rng.choice([b for b in [1, 2, 4, 16] if b * q_len <= (2**14 if schedule == "naive-unfused" else 2**20)])
    else:
        variant = "dense"
        q_len = kv_len = rng.choice(LENGTHS[:8])
        batch = 1 if schedule == "naive-unfused" else rng.choice([1, 8, 32, 64])
    if variant == "sliding-window":
        window = rng.choice([127, 1023, 4095])
    harness = rng.choice(["default", "default", "benchmark-cold", "sustained-loop"])
    return (phase, variant, chip, schedule, harness, batch, q_heads, kv_heads, q_len, kv_len, head_dim, window)


def main():
    rng = random.Random(SEED)
    points = []
    for phase, count in COUNTS.items():
        own = set()
        while len(own) < count:
            own.add(draw(rng, phase))
        points += sorted(own)
    rng.shuffle(points)
    print(",".join(COLUMNS))
    for point in points:
        print(",".join(str(field) for field in point))


main()

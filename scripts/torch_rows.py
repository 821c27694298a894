#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""torch_rows.py --out FILE.jsonl [--seconds S]: PyTorch's attention (flash, cuDNN, FlexAttention) timed as attnsim-bench times its own
kernels: events around batches of about 200 us, warm L2, clean median, the SM clock read by nvidia-smi beside the timed region. One JSON
line per row, as third-party rows. Refused or failing combinations are named and left out."""

import argparse
import json
import math
import statistics
import subprocess
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

BACKENDS = {"torch-flash": SDPBackend.FLASH_ATTENTION, "torch-cudnn": SDPBackend.CUDNN_ATTENTION}
# Schedules of attnsim that describe the kernels, by compute capability.
SCHEDULES = {
    "torch-flash": {8: "fa2-sm80", 9: "fa2-sm80"},
    "torch-cudnn": {9: "cudnn-sm90", 10: "cudnn-sm100"},
    "torch-flex": {8: "triton-fa-masked-sm80", 9: "triton-fa-masked-sm90"},
}
LENGTHS = (1024, 2048, 4096, 8192, 16384, 32768)


def sm_clock_mhz():
    query = ["nvidia-smi", "--query-gpu=clocks.sm", "--format=csv,noheader,nounits", "-i", str(torch.cuda.current_device())]
    try:
        return float(subprocess.run(query, capture_output=True, text=True, check=True).stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return 0.0


def batch_us(call, launches):
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(launches):
        call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) * 1e3 / launches


def samples_us(call, seconds, noise=0.005):
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    launches = max(1, int(200 / max(batch_us(call, 1), 1)))
    samples = []
    start = time.monotonic()
    while len(samples) < 200:
        samples.append(batch_us(call, launches))
        if len(samples) < 10:
            continue
        error = statistics.stdev(samples) / math.sqrt(len(samples)) / statistics.mean(samples)
        if error < noise or time.monotonic() - start > seconds:
            break
    # The clock while the kernel keeps running: launches queued for about 100 ms, read meanwhile.
    for _ in range(min(20000, int(1e5 / max(statistics.median(samples), 1)) + 1)):
        call()
    clock = sm_clock_mhz()
    torch.cuda.synchronize()
    return samples, clock


def calls(name, q, k, v, causal):
    if name == "torch-flex":
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        length = q.shape[2]
        mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, length, length, device="cuda") if causal else None
        compiled = torch.compile(flex_attention, dynamic=False)
        return lambda: compiled(q, k, v, block_mask=mask)

    def call():
        with sdpa_kernel(BACKENDS[name]):
            return scaled_dot_product_attention(q, k, v, is_causal=causal)

    return call


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seconds", type=float, default=0.5, help="most seconds for one row")
    arguments = parser.parse_args()
    device = torch.cuda.get_device_name()
    capability = torch.cuda.get_device_capability()[0]
    driver = f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    torch.manual_seed(1)
    with open(arguments.out, "a", encoding="utf-8") as out:
        for head_dim in (64, 128, 256):
            for length in LENGTHS:
                batch, heads = max(1, 16384 // length), 2048 // head_dim
                q, k, v = (torch.randn(batch, heads, length, head_dim, device="cuda", dtype=torch.bfloat16) for _ in range(3))
                for causal in (False, True):
                    for name in ("torch-flash", "torch-cudnn", "torch-flex"):
                        label = f"{name} {batch}x{heads} {length} d{head_dim} {'causal' if causal else 'dense'}"
                        try:
                            samples, clock = samples_us(calls(name, q, k, v, causal), arguments.seconds)
                        except Exception as error:  # a library's refusal is a row that cannot be had
                            print(f"{label}: left out: {str(error).splitlines()[0]}")
                            continue
                        shape = {"batch": batch, "q_heads": heads, "kv_heads": heads, "q_len": length, "kv_len": length,
                                 "head_dim": head_dim, "dtype": "bf16", "mask": "causal" if causal else "dense"}
                        median = statistics.median(samples)
                        row = {"backend": "torch", "device": device, "driver": driver, "kernel": name, "shape": shape, "l2": "warm",
                               "median_us": round(median, 3), "samples_us": [round(s, 3) for s in samples], "clock_mhz": clock,
                               "schedule": SCHEDULES[name].get(capability, ""), "harness": "sustained-loop"}
                        out.write(json.dumps(row) + "\n")
                        out.flush()
                        flops = 4 * batch * heads * length * length * head_dim * (0.5 if causal else 1)
                        print(f"{label}: {median:.1f} us, {flops / median / 1e6:.0f} TFLOP/s, {clock:.0f} MHz")


main()

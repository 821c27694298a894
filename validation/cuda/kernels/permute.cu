// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// Token permutation around the neighborhood kernel: [batch, tokens, heads, d] to [batch x classes, permuted tokens, heads, d] and back,
// 16 bytes per thread. Padding tokens become zeros.
#include "validation/cuda/kernels/kernels.cuh"
#include "validation/cuda/mask.cuh"

namespace attnsim::cuda {

namespace {

constexpr int kThreads = 256;

// Index in [length[0], length[1], length[2]] of permuted token `t` of a class, or -1 where it is padding.
ATTNSIM_HD std::int64_t source_token(const GnaArgs& g, int gna_class, int t, bool keys) {
  const GnaMask mask(g, gna_class);
  const GnaBox box = keys ? mask.column(t) : GnaMask::place(t, mask.q_shift, mask.q_tiles);
  int residue[kAxes];
  for (int a = kAxes - 1; a >= 0; --a) {
    residue[a] = gna_class % g.dilation[a];
    gna_class /= g.dilation[a];
  }
  std::int64_t token = 0;
  for (int a = 0; a < kAxes; ++a) {
    if (box.at[a] >= mask.length[a]) return -1;
    token = token * g.length[a] + box.at[a] * g.dilation[a] + residue[a];
  }
  return token;
}

template <bool kInverse>
__global__ void __launch_bounds__(kThreads) permute_kernel(PermuteArgs p) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const std::int64_t row_chunks = static_cast<std::int64_t>(p.row_bytes) / 16;
  const std::int64_t token = i / row_chunks;  // over [batch, classes, permuted]
  const std::int64_t chunk = i % row_chunks;
  if (token >= static_cast<std::int64_t>(p.batch) * p.classes * p.permuted) return;
  const int t = static_cast<int>(token % p.permuted);
  const int gna_class = static_cast<int>(token / p.permuted % p.classes);
  const std::int64_t batch = token / p.permuted / p.classes;
  const std::int64_t plain = source_token(p.gna, gna_class, t, p.keys);
  const std::int64_t plain_chunk = (batch * p.tokens + plain) * row_chunks + chunk;
  const uint4* from = static_cast<const uint4*>(p.from);
  uint4* to = static_cast<uint4*>(p.to);
  if (kInverse) {
    if (plain >= 0) to[plain_chunk] = from[i];
  } else {
    to[i] = plain >= 0 ? from[plain_chunk] : uint4{0, 0, 0, 0};
  }
}

}  // namespace

Status permute_tokens(const PermuteArgs& p, bool inverse, Stream stream) {
  const std::int64_t chunks = static_cast<std::int64_t>(p.batch) * p.classes * p.permuted * (p.row_bytes / 16);
  const dim3 grid(static_cast<unsigned>((chunks + kThreads - 1) / kThreads));
  return inverse ? launch(permute_kernel<true>, grid, dim3(kThreads), 0, stream, p)
                 : launch(permute_kernel<false>, grid, dim3(kThreads), 0, stream, p);
}

}  // namespace attnsim::cuda

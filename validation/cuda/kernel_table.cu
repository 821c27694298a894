// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
// The kernels that attnsim-bench can time: what each refuses, and how it is made ready. A new kernel is one row of kernel_table().
#include <algorithm>

#include "validation/cuda/launch_plan.h"
#include "validation/cuda/problem.h"
#include "validation/cuda/tensor_map.h"

namespace attnsim::cuda {

namespace {

using bench::Shape;

bool interval_mask(const Shape& s) {
  return s.mask == "dense" || s.mask == "causal" || s.mask == "window";
}
int tile_kv_fused(const Shape& s) {
  return s.head_dim == 64 ? 128 : 64;
}
int tile_kv_decode(const Shape& s) {
  return s.head_dim == 64 ? 256 : 128;
}
std::size_t rows(const Shape& s) {
  return static_cast<std::size_t>(s.batch * s.q_heads * s.q_len);
}

std::string refuses_fused(const Shape& s, const Machine&) {
  if (!interval_mask(s)) return "knows dense, causal and window";
  if (s.page > 0 || s.backward) return "has neither paging nor a backward pass";
  return "";
}
void prepare_fused(Problem& p, const Machine&) {
  for (InputSet& set : p.sets) {
    set.launch = [a = set.args, &p](Stream stream) { return forward_fused(a, p.shape.head_dim, p.dtype, stream); };
  }
}

std::string refuses_backward(const Shape& s, const Machine& m) {
  if (!s.backward) return "computes gradients";
  Shape forward = s;
  forward.backward = false;
  return refuses_fused(forward, m);
}
void prepare_backward(Problem& p, const Machine&) {
  const Shape& s = p.shape;
  const auto key_elements = static_cast<std::size_t>(s.batch * s.kv_len * s.head_dim);
  const auto keys = [&](std::int64_t heads) { return p.allocate(2 * key_elements * static_cast<std::size_t>(heads)); };
  for (InputSet& set : p.sets) {
    AttentionArgs& a = set.args;
    a.delta = static_cast<float*>(p.allocate(4 * rows(s)));
    a.dq_sum = static_cast<float*>(p.allocate(4 * rows(s) * static_cast<std::size_t>(s.head_dim)));
    a.dq = p.allocate(2 * rows(s) * static_cast<std::size_t>(s.head_dim));
    a.dk = keys(s.kv_heads);
    a.dv = keys(s.kv_heads);
    if (s.q_heads > s.kv_heads) a.dk_heads = keys(s.q_heads), a.dv_heads = keys(s.q_heads);
    AttentionArgs forward = a;
    forward.tally = nullptr;  // of the gradients alone
    set.before = [forward, &p](Stream stream) { return forward_fused(forward, p.shape.head_dim, p.dtype, stream); };
    set.launch = [a, &p](Stream stream) { return backward_fused(a, p.shape.head_dim, p.dtype, stream); };
  }
}

std::string refuses_naive(const Shape& s, const Machine& m) {
  if (s.batch * s.q_heads > 65535) return "exceeds the grid";
  if (static_cast<std::size_t>(s.batch * s.q_heads * s.q_len * (s.kv_len + 8) * 2) > m.memory_bytes / 4)
    return "scores do not fit the device's memory";
  return refuses_fused(s, m);
}
void prepare_naive(Problem& p, const Machine&) {
  const Shape& s = p.shape;
  void* scores = p.allocate(2 * rows(s) * static_cast<std::size_t>((s.kv_len + 7) / 8 * 8));
  for (InputSet& set : p.sets) {
    set.launch = [a = set.args, scores, &p](Stream stream) { return forward_naive(a, scores, p.shape.head_dim, p.dtype, stream); };
  }
}

std::string refuses_hopper(const Shape& s, const Machine& m) {
  if (m.capability != 90) return "needs compute capability 9.0";
  return refuses_fused(s, m);
}
void prepare_hopper(Problem& p, const Machine& m) {
  const Shape& s = p.shape;
  for (InputSet& set : p.sets) {
    set.args.counters = static_cast<int*>(p.allocate(2 * sizeof(int), 0));
    const auto map = [&](const void* base, std::int64_t len, std::int64_t heads) {
      return tensor_map(base, p.dtype, {s.head_dim, heads, len, s.batch}, {64, 1, 128, 1});
    };
    const HopperMaps maps{map(set.args.q, s.q_len, s.q_heads), map(set.args.k, s.kv_len, s.kv_heads),
                          map(set.args.v, s.kv_len, s.kv_heads)};
    set.launch = [a = set.args, maps, sms = m.sms, &p](Stream stream) {
      return forward_hopper(a, maps, p.shape.head_dim, p.dtype, sms, stream);
    };
  }
}

std::string refuses_gemm(const Shape& s, const Machine& m) {
  if (s.mask != "dense" || s.page > 0 || s.backward || s.batch != 1 || s.q_heads != 1 || s.kv_heads != 1) {
    return "multiplies matrices: m = q_len, n = kv_len, k = head_dim";
  }
  if (m.capability != 90) return "needs compute capability 9.0";
  if (s.kv_len % 8 != 0 || s.head_dim % 8 != 0) return "n and k must be multiples of 8";
  return "";
}
void prepare_gemm(Problem& p, const Machine& m) {
  const Shape& s = p.shape;
  for (InputSet& set : p.sets) {
    const TensorMap a = tensor_map(set.args.q, p.dtype, {s.head_dim, 1, s.q_len, 1}, {64, 1, 128, 1});
    const TensorMap b = tensor_map(set.args.k, p.dtype, {s.kv_len, 1, s.head_dim, 1}, {64, 1, 64, 1});
    set.launch = [a, b, c = set.args.o, tally = set.args.tally, sms = m.sms, &p](Stream stream) {
      return gemm_hopper(a, b, c, static_cast<int>(p.shape.q_len), static_cast<int>(p.shape.kv_len), p.shape.head_dim, p.dtype, sms, stream,
                         tally);
    };
  }
}

std::string refuses_decode(const Shape& s, const Machine&) {
  if (!interval_mask(s)) return "knows dense, causal and window";
  if (s.page > 0 || s.backward) return "has neither paging nor a backward pass";
  if (s.q_len * s.q_heads / s.kv_heads > 64) return "has one tile of 64 rows (q_len x group)";
  return "";
}
std::string refuses_paged(const Shape& s, const Machine& m) {
  if (s.page < 1 || (s.page & (s.page - 1)) != 0) return "needs pages of a power of two";
  Shape contiguous = s;
  contiguous.page = 0;
  return refuses_decode(contiguous, m);
}
void add_partials(Problem& p, InputSet& set, int pieces) {
  set.args.partial_o =
      static_cast<float*>(p.allocate(4 * static_cast<std::size_t>(pieces) * rows(p.shape) * static_cast<std::size_t>(p.shape.head_dim)));
  set.args.partial_lse = static_cast<float*>(p.allocate(4 * static_cast<std::size_t>(pieces) * rows(p.shape)));
}
int kv_tiles_decode(const Shape& s) {
  return static_cast<int>((s.kv_len + tile_kv_decode(s) - 1) / tile_kv_decode(s));
}
void prepare_split(Problem& p, const Machine& m) {
  const Shape& s = p.shape;
  for (InputSet& set : p.sets) {
    set.args.splits = fa2_splits(static_cast<int>(s.batch * s.kv_heads), kv_tiles_decode(s), m.sms);
    if (set.args.splits > 1) add_partials(p, set, set.args.splits);
    if (s.page > 0) {  // pages in a scattered order: number times an odd stride, modulo a power of two, skipping what is too large
      const int pages = static_cast<int>((s.kv_len + s.page - 1) / s.page);
      const int all = pages * static_cast<int>(s.batch);
      int power = 1;
      while (power < all) power *= 2;
      std::vector<int> table;
      for (int i = 0; i < power; ++i) {
        const auto page = static_cast<int>((static_cast<std::int64_t>(i) * 40503) % power);
        if (page < all) table.push_back(page);
      }
      // The pool is the plain K and V, cut into pages, sequence after sequence; padded where the last page is not full.
      const std::size_t row = static_cast<std::size_t>(s.kv_heads * s.head_dim * 2);
      const auto scatter = [&](const void* plain) {
        void* pool = p.allocate(static_cast<std::size_t>(all) * static_cast<std::size_t>(s.page) * row);
        for (int i = 0; i < all; ++i) {
          const std::int64_t first = static_cast<std::int64_t>(i % pages) * s.page;
          const auto tokens = static_cast<std::size_t>(std::min<std::int64_t>(s.page, s.kv_len - first));
          const auto source = static_cast<std::size_t>((i / pages) * s.kv_len + first) * row;
          check(cudaMemcpyAsync(static_cast<char*>(pool) +
                                    static_cast<std::size_t>(table[static_cast<std::size_t>(i)]) * static_cast<std::size_t>(s.page) * row,
                                static_cast<const char*>(plain) + source, tokens * row, cudaMemcpyDeviceToDevice, nullptr),
                "pages");
        }
        return pool;
      };
      AttentionArgs a = set.args;
      a.k = scatter(set.args.k);
      a.v = scatter(set.args.v);
      a.block_table = static_cast<const int*>(p.keep(Buffer::of(table)));
      a.page = static_cast<int>(s.page);
      a.pages_per_sequence = pages;
      set.launch = [a, &p](Stream stream) { return decode_paged(a, p.shape.head_dim, p.dtype, stream); };
    } else {
      set.launch = [a = set.args, &p](Stream stream) { return decode_split(a, p.shape.head_dim, p.dtype, stream); };
    }
  }
}
void prepare_lean(Problem& p, const Machine& m) {
  const Shape& s = p.shape;
  for (InputSet& set : p.sets) {
    const int pairs = static_cast<int>(s.batch * s.kv_heads);
    add_partials(p, set, lean_pieces(pairs, kv_tiles_decode(s), m.sms));
    set.args.counters = static_cast<int*>(p.allocate(sizeof(int) * static_cast<std::size_t>(pairs), 0));
    set.launch = [a = set.args, sms = m.sms, &p](Stream stream) { return decode_lean(a, p.shape.head_dim, p.dtype, sms, stream); };
  }
}

std::string refuses_blocks(const Shape& s, const Machine&) {
  if (s.mask != "block-sparse") return "knows block-sparse";
  if (s.page > 0 || s.backward) return "has neither paging nor a backward pass";
  return "";
}
void prepare_blocks(Problem& p, const Machine&) {
  const Shape& s = p.shape;
  const int tile_kv = tile_kv_fused(s);
  const int q_len = static_cast<int>(s.q_len), kv_len = static_cast<int>(s.kv_len);
  const TileLists lists = block_sparse_lists(q_len, kv_len, 128, tile_kv, s.density, s.seed);
  const int q_tiles = (q_len + 127) / 128, kv_tiles = (kv_len + tile_kv - 1) / tile_kv;
  std::vector<std::uint8_t> kept;
  for (int q = 0; q < q_tiles; ++q) {
    for (int k = 0; k < kv_tiles; ++k) kept.push_back(block_kept(q, q_tiles, k, kv_tiles, s.density, s.seed) ? 1 : 0);
  }
  p.rule.kind = KeepRule::blocks;
  p.rule.kept = static_cast<const std::uint8_t*>(p.keep(Buffer::of(kept)));
  p.rule.tile_q = 128;
  p.rule.tile_kv = tile_kv;
  p.rule.kv_tiles = kv_tiles;
  const auto* offsets = static_cast<const int*>(p.keep(Buffer::of(lists.offsets)));
  const auto* tiles = static_cast<const int*>(p.keep(Buffer::of(lists.tiles)));
  for (InputSet& set : p.sets) {
    set.args.list_offsets = offsets;
    set.args.list_tiles = tiles;
    set.launch = [a = set.args, &p](Stream stream) { return forward_block_sparse(a, p.shape.head_dim, p.dtype, stream); };
  }
}

GnaArgs gna_of(const Shape& s) {
  GnaArgs g;
  const auto at = [](const std::vector<std::int64_t>& v, std::size_t a) { return a < v.size() ? static_cast<int>(v[a]) : 1; };
  for (std::size_t a = 0; a < kAxes; ++a) {
    g.length[a] = at(s.layout, a);
    g.window[a] = at(s.window, a);
    g.stride[a] = at(s.stride, a);
    g.dilation[a] = at(s.dilation, a);
  }
  choose_gna_tiles(g, std::max(1, std::min(kAxes, static_cast<int>(s.layout.size()))), 128, tile_kv_fused(s));
  return g;
}
std::string refuses_gna(const Shape& s, const Machine&) {
  if (s.mask != "gna") return "knows gna";
  if (s.page > 0 || s.backward) return "has neither paging nor a backward pass";
  if (s.layout.empty() || s.layout.size() > kAxes) return "has one to three axes";
  std::int64_t tokens = 1;
  for (const std::int64_t n : s.layout) tokens *= n;
  if (tokens != s.q_len || tokens != s.kv_len) return "q_len and kv_len must be the product of the layout";
  return gna_refusal(gna_of(s));
}
template <bool kWithPermutation>
void prepare_gna(Problem& p, const Machine&) {
  const Shape& s = p.shape;
  const GnaArgs gna = gna_of(s);
  const TileLists lists = gna_lists(gna);
  const auto* offsets = static_cast<const int*>(p.keep(Buffer::of(lists.offsets)));
  const auto* tiles = static_cast<const int*>(p.keep(Buffer::of(lists.tiles)));
  p.rule.kind = KeepRule::neighborhood;
  p.rule.gna = gna;
  const int classes = gna_classes(gna);
  for (InputSet& set : p.sets) {
    const auto permutation = [&](const void* from, void* to, std::int64_t heads, bool keys) {
      PermuteArgs x;
      x.from = from;
      x.to = to;
      x.batch = static_cast<int>(s.batch);
      x.classes = classes;
      x.tokens = static_cast<int>(s.q_len);
      x.permuted = gna_permuted(gna, keys);
      x.row_bytes = static_cast<int>(heads * s.head_dim * 2);
      x.keys = keys;
      x.gna = gna;
      return x;
    };
    const auto room = [&](std::int64_t heads, bool keys) {
      return p.allocate(static_cast<std::size_t>(s.batch * classes * gna_permuted(gna, keys) * heads * s.head_dim * 2));
    };
    AttentionArgs a = set.args;
    const PermuteArgs q = permutation(set.args.q, room(s.q_heads, false), s.q_heads, false);
    const PermuteArgs k = permutation(set.args.k, room(s.kv_heads, true), s.kv_heads, true);
    const PermuteArgs v = permutation(set.args.v, room(s.kv_heads, true), s.kv_heads, true);
    a.o = room(s.q_heads, false);
    const PermuteArgs o = permutation(a.o, set.args.o, s.q_heads, false);
    a.q = q.to;
    a.k = k.to;
    a.v = v.to;
    a.lse = nullptr;
    a.batch *= classes;
    a.q_len = gna_permuted(gna, false);
    a.kv_len = gna_permuted(gna, true);
    a.list_offsets = offsets;
    a.list_tiles = tiles;
    a.list_classes = classes;
    a.gna = gna;
    const auto first_error = [](Status x, Status y) { return x != kSuccess ? x : y; };
    const auto before = [q, k, v, first_error](Stream stream) {
      return first_error(permute_tokens(q, false, stream), first_error(permute_tokens(k, false, stream), permute_tokens(v, false, stream)));
    };
    const auto attend = [a, &p](Stream stream) { return forward_gna(a, p.shape.head_dim, p.dtype, stream); };
    const auto after = [o](Stream stream) { return permute_tokens(o, true, stream); };
    if (kWithPermutation) {
      set.launch = [before, attend, after, first_error](Stream stream) {
        return first_error(before(stream), first_error(attend(stream), after(stream)));
      };
    } else {
      set.before = before;
      set.launch = attend;
      set.after = after;
    }
  }
}

#define CORE                                                                                                          \
  " validation/cuda/fused_core.cuh validation/cuda/softmax.cuh validation/cuda/mask.cuh validation/cuda/ptx_mma.cuh " \
  "validation/cuda/epilogue.cuh validation/cuda/product.cuh validation/cuda/load_tile.cuh"
#define HOPPER                                                                                                          \
  " validation/cuda/ptx_wgmma.cuh validation/cuda/ptx_hopper.cuh validation/cuda/softmax.cuh validation/cuda/mask.cuh " \
  "validation/cuda/epilogue.cuh"

}  // namespace

const std::vector<KernelEntry>& kernel_table() {
  static const std::vector<KernelEntry> table{
      {{"fa2-mma", "fused forward, mma.sync and cp.async", "attnsim-fa2-sm80", "validation/cuda/kernels/forward.cu" CORE},
       refuses_fused,
       prepare_fused},
      {{"naive-mma", "three kernels: scores, softmax, weighted sum", "naive-unfused", "validation/cuda/kernels/naive.cu" CORE},
       refuses_naive,
       prepare_naive},
      {{"fa3-wgmma", "fused forward, copy engine and wgmma, ping-pong", "attnsim-fa3-sm90",
        "validation/cuda/kernels/hopper_forward.cu" HOPPER},
       refuses_hopper,
       prepare_hopper},
      {{"splitkv-mma", "split-KV decode and combine", "attnsim-splitkv-sm80",
        "validation/cuda/kernels/decode.cu validation/cuda/combine.cuh" CORE},
       refuses_decode,
       prepare_split},
      {{"paged-mma", "split-KV decode through a block table", "attnsim-paged-sm80",
        "validation/cuda/kernels/decode.cu validation/cuda/combine.cuh" CORE},
       refuses_paged,
       prepare_split},
      {{"lean-mma", "stream-K decode, merged by the last CTA", "attnsim-lean-sm80",
        "validation/cuda/kernels/lean.cu validation/cuda/combine.cuh" CORE},
       refuses_decode,
       prepare_lean},
      {{"block-sparse-mma", "fused forward over tile lists", "attnsim-lists-sm80", "validation/cuda/kernels/lists.cu" CORE},
       refuses_blocks,
       prepare_blocks},
      {{"gna-mma", "neighborhood attention on permuted tokens", "attnsim-gna-sm80", "validation/cuda/kernels/lists.cu" CORE},
       refuses_gna,
       prepare_gna<false>},
      {{"gna-mma-permute", "the same with its four permutations", "attnsim-gna-sm80",
        "validation/cuda/kernels/lists.cu validation/cuda/kernels/permute.cu" CORE},
       refuses_gna,
       prepare_gna<true>},
      {{"fa2-bwd-mma", "gradients: five products per pair of tiles, dQ by atomics", "attnsim-fa2-bwd-sm80",
        "validation/cuda/kernels/backward.cu" CORE},
       refuses_backward,
       prepare_backward},
      {{"gemm-wgmma", "matrix product, copy engine and wgmma", "attnsim-gemm-sm90", "validation/cuda/kernels/hopper_gemm.cu" HOPPER},
       refuses_gemm,
       prepare_gemm,
       true},
  };
  return table;
}

}  // namespace attnsim::cuda

// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_90a,code=sm_90a
// Hopper forward (FlashAttention-3 class): a producer thread drives the copy engine through two stages of K and V; two consumer
// warpgroups of 64 rows each take turns at issuing (ping-pong), and each overlaps Q K^T of the next tile and P V of this one with its
// softmax. Persistent CTAs draw (query tile, head, batch entry) from a counter, longest first within sections whose K and V fit the L2.
#include "validation/cuda/epilogue.cuh"
#include "validation/cuda/kernels/kernels.cuh"
#include "validation/cuda/mask.cuh"
#include "validation/cuda/ptx_hopper.cuh"
#include "validation/cuda/ptx_wgmma.cuh"
#include "validation/cuda/softmax.cuh"
#include "validation/cuda/tally.cuh"

namespace attnsim::cuda {

namespace {

constexpr int kStages = 2;
constexpr int kConsumers = 2;

template <class E_, int D_, bool kCounts_ = false>
struct HopperTile {
  using E = E_;
  static constexpr bool kCounts = kCounts_;
  static constexpr int D = D_, TileQ = 128, TileKv = 128;
  static constexpr int kThreads = 128 * (1 + kConsumers);
  static constexpr int kQBytes = tile_bytes(TileQ, D), kKvBytes = tile_bytes(TileKv, D);
  static constexpr std::size_t kSharedBytes = 2 * kQBytes + 2 * kStages * kKvBytes + 256;  // Q, O, K, V, barriers
};

// Addresses in shared memory. Barriers: "full" by the copy engine, "empty" by one lane of each consumer warp.
template <class T>
struct Layout {
  std::uint32_t q, o, k, v, barriers;
  int* item;  // drawn by the producer, handed over with q_full; -1 ends
  ATTNSIM_D Layout() {
    std::uint8_t* base = shared_memory();
    q = shared_address(base);
    o = q + T::kQBytes;
    k = o + T::kQBytes;
    v = k + kStages * T::kKvBytes;
    barriers = v + kStages * T::kKvBytes;
    item = reinterpret_cast<int*>(base + 2 * T::kQBytes + 2 * kStages * T::kKvBytes + 128);
  }
  ATTNSIM_D std::uint32_t q_full() const { return barriers; }
  ATTNSIM_D std::uint32_t q_empty() const { return barriers + 8; }
  ATTNSIM_D std::uint32_t k_full(int s) const { return barriers + 16 + 8 * s; }
  ATTNSIM_D std::uint32_t k_empty(int s) const { return barriers + 32 + 8 * s; }
  ATTNSIM_D std::uint32_t v_full(int s) const { return barriers + 48 + 8 * s; }
  ATTNSIM_D std::uint32_t v_empty(int s) const { return barriers + 64 + 8 * s; }
};

struct Work {
  int q_tile, head, batch;
  ATTNSIM_D Work(const AttentionArgs& a, int item, int q_tiles, int section) {
    const int slabs = a.batch * a.q_heads;
    int slab = item / q_tiles;
    q_tile = item % q_tiles;  // tiles of a slab follow one another
    if (section > 0) {        // slabs of a section follow one another, last tile first
      const int first = item / (section * q_tiles) * section;
      const int count = least(section, slabs - first);
      const int left = item - first * q_tiles;
      slab = first + left % count;
      q_tile = q_tiles - 1 - left / count;
    }
    head = slab % a.q_heads;
    batch = slab / a.q_heads;
  }
};

template <class T>
ATTNSIM_D IntervalTiles tiles_of(const AttentionArgs& a, const Work& work) {
  const int first = work.q_tile * T::TileQ;
  return IntervalTiles(IntervalMask(a), first, least(first + T::TileQ, a.q_len) - 1, T::TileKv);
}

template <class T>
ATTNSIM_D void load_box(std::uint32_t tile, const TensorMap& map, std::uint32_t full, int rows, int head, int token, int batch) {
#pragma unroll
  for (int panel = 0; panel < T::D / kPanelColumns; ++panel) {
    tma_load_4d(tile + static_cast<std::uint32_t>(panel * rows * kPanelRowBytes), &map, full, panel * kPanelColumns, head, token, batch);
  }
}

template <class T>
ATTNSIM_D void produce(const AttentionArgs& a, const HopperMaps& maps, const Layout<T>& at, int q_tiles, int items, int section) {
  const DirectTally<T::kCounts> tally(a.tally);
  int fill = 0;  // K tiles so far; V follows one behind
  int drain = 0;
  unsigned round = 0;
  int item = static_cast<int>(blockIdx.x);
  for (; item < items; ++round) {
    const Work work(a, item, q_tiles, section);
    const IntervalTiles tiles = tiles_of<T>(a, work);
    const int kv_head = work.head / (a.q_heads / a.kv_heads);
    const auto load_v = [&](int tile) {
      const int s = drain % kStages;
      mbarrier_wait(at.v_empty(s), static_cast<unsigned>(drain / kStages + 1) & 1U);
      mbarrier_arrive_expect(at.v_full(s), T::kKvBytes);
      tally.bytes(2 * T::D * least(T::TileKv, a.kv_len - tile * T::TileKv));
      load_box<T>(at.v + static_cast<std::uint32_t>(s * T::kKvBytes), maps.v, at.v_full(s), T::TileKv, kv_head, tile * T::TileKv,
                  work.batch);
      ++drain;
    };
    for (int i = 0; i < tiles.count(); ++i) {
      const int s = fill % kStages;
      mbarrier_wait(at.k_empty(s), static_cast<unsigned>(fill / kStages + 1) & 1U);
      mbarrier_arrive_expect(at.k_full(s), T::kKvBytes);
      tally.tile();
      tally.bytes(2 * T::D * least(T::TileKv, a.kv_len - tiles.tile(i) * T::TileKv));
      load_box<T>(at.k + static_cast<std::uint32_t>(s * T::kKvBytes), maps.k, at.k_full(s), T::TileKv, kv_head, tiles.tile(i) * T::TileKv,
                  work.batch);
      ++fill;
      if (i == 0) {
        mbarrier_wait(at.q_empty(), (round + 1) & 1U);
        *at.item = item;
        mbarrier_arrive_expect(at.q_full(), T::kQBytes);
        tally.bytes(2 * T::D * least(T::TileQ, a.q_len - work.q_tile * T::TileQ));
        load_box<T>(at.q, maps.q, at.q_full(), T::TileQ, work.head, work.q_tile * T::TileQ, work.batch);
      } else {
        load_v(tiles.tile(i - 1));
      }
    }
    if (tiles.count() > 0) {
      load_v(tiles.tile(tiles.count() - 1));
    } else {
      mbarrier_wait(at.q_empty(), (round + 1) & 1U);
      *at.item = item;
      mbarrier_arrive(at.q_full());
    }
    item = static_cast<int>(gridDim.x) + atomic_add(a.counters, 1);
  }
  mbarrier_wait(at.q_empty(), (round + 1) & 1U);
  *at.item = -1;
  mbarrier_arrive(at.q_full());
  if (atomic_add(a.counters + 1, 1) == static_cast<int>(gridDim.x) - 1) {  // every CTA has drawn its last item
    a.counters[0] = 0;
    a.counters[1] = 0;
  }
}

template <class T>
class Consumer {
 public:
  using E = typename T::E;

  ATTNSIM_D Consumer(const AttentionArgs& a, const Layout<T>& at, float scale)
      : a_(a),
        at_(at),
        tally_(a.tally),
        scale_(scale),
        group_(static_cast<int>(threadIdx.x) / 128 - 1),
        warp_(static_cast<int>(threadIdx.x) / 32 % 4) {}

  ATTNSIM_D void run(int q_tiles, int section) {
    if (group_ == 1) named_barrier_arrive(kTurn, 256);  // group 0 goes first
    for (unsigned round = 0;; ++round) {
      mbarrier_wait(at_.q_full(), round & 1U);
      const int item = *at_.item;
      if (item < 0) return;
      const Work work(a_, item, q_tiles, section);
      const RowMap rows{work.batch, work.head, work.q_tile * T::TileQ, 1, a_.q_len, a_.q_heads};
      attend(rows, tiles_of<T>(a_, work));
    }
  }

 private:
  static constexpr int kTurn = 1;  // named barriers 1 and 2: group 0's and group 1's turn to issue
  static constexpr int kScores = T::TileKv / 8, kOut = T::D / 8;

  ATTNSIM_D int first_row() const { return 64 * group_ + 16 * warp_; }
  ATTNSIM_D void release(std::uint32_t empty) const {
    if (lane_index() == 0) mbarrier_arrive(empty);
  }

  ATTNSIM_D void issue_qk(float (&s)[kScores][4], int stage) const {
    const std::uint32_t q = at_.q + static_cast<std::uint32_t>(64 * group_ * kPanelRowBytes);
    const std::uint32_t k = at_.k + static_cast<std::uint32_t>(stage * T::kKvBytes);
    wgmma_fence();
#pragma unroll
    for (int c = 0; c < T::D / 16; ++c) wgmma_ss<E, T::TileKv, false>(s, k_major(q, T::TileQ, c), k_major(k, T::TileKv, c), c > 0);
    wgmma_commit();
    tally_.wgmma(T::D / 16, T::TileKv);
  }

  ATTNSIM_D void issue_pv(float (&o)[kOut][4], const std::uint32_t (&p)[kScores / 2][4], int stage, bool accumulate) const {
    const std::uint32_t v = at_.v + static_cast<std::uint32_t>(stage * T::kKvBytes);
    wgmma_fence();
#pragma unroll
    for (int r = 0; r < T::TileKv / 16; ++r) wgmma_rs<E, T::D, true>(o, p[r], mn_major(v, T::TileKv, r), accumulate || r > 0);
    wgmma_commit();
    tally_.wgmma(T::TileKv / 16, T::D);
  }

  ATTNSIM_D void mask_scores(float (&s)[kScores][4], const RowMap& rows, int tile) const {
    const IntervalMask mask(a_);
    const IntervalMask::Row bounds[2] = {mask.row(rows.token(first_row() + accumulator_row(lane_index(), 0))),
                                         mask.row(rows.token(first_row() + accumulator_row(lane_index(), 2)))};
    apply_mask(s, mask, bounds, tile * T::TileKv);
  }

  ATTNSIM_D void pack_all(std::uint32_t (&p)[kScores / 2][4], const float (&s)[kScores][4]) const {
#pragma unroll
    for (int r = 0; r < kScores / 2; ++r) pack_p<E>(p[r], s, r);
  }

  ATTNSIM_D void attend(const RowMap& rows, const IntervalTiles& tiles) {
    float o[kOut][4];  // [64, D] of the group
#pragma unroll
    for (int n = 0; n < kOut; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) o[n][i] = 0;
    }
    RowState state[2];
    const int count = tiles.count();
    if (count > 0) {
      float s[kScores][4];  // [64, TileKv] of the group
      std::uint32_t p[kScores / 2][4];
      float factor[2];
      int stage = trip_ % kStages;
      unsigned phase = static_cast<unsigned>(trip_ / kStages) & 1U;
      mbarrier_wait(at_.k_full(stage), phase);
      named_barrier_sync(kTurn + group_, 256);
      issue_qk(s, stage);
      named_barrier_arrive(kTurn + 1 - group_, 256);
      wgmma_wait<0>();
      wgmma_keep(s);
      release(at_.k_empty(stage));
      if (count == 1) release(at_.q_empty());
      if (tiles.masked(0)) mask_scores(s, rows, tiles.tile(0));
      softmax_step(s, state, factor, scale_);
      tally_.exps(4 * kScores);
      pack_all(p, s);
      for (int i = 1; i < count; ++i) {
        const int v_stage = stage;
        const unsigned v_phase = phase;
        ++trip_;
        stage = trip_ % kStages;
        phase = static_cast<unsigned>(trip_ / kStages) & 1U;
        mbarrier_wait(at_.k_full(stage), phase);
        named_barrier_sync(kTurn + group_, 256);
        issue_qk(s, stage);
        mbarrier_wait(at_.v_full(v_stage), v_phase);
        issue_pv(o, p, v_stage, i > 1);
        named_barrier_arrive(kTurn + 1 - group_, 256);
        wgmma_wait<1>();  // the scores
        wgmma_keep(s);
        release(at_.k_empty(stage));
        if (i + 1 == count) release(at_.q_empty());
        if (tiles.masked(i)) mask_scores(s, rows, tiles.tile(i));
        softmax_step(s, state, factor, scale_);
        tally_.exps(4 * kScores);
        wgmma_wait<0>();
        wgmma_keep(o);
        release(at_.v_empty(v_stage));
        scale_rows(o, factor);
        pack_all(p, s);
      }
      mbarrier_wait(at_.v_full(stage), phase);
      issue_pv(o, p, stage, count > 1);
      wgmma_wait<0>();
      wgmma_keep(o);
      release(at_.v_empty(stage));
      ++trip_;
    } else {
      release(at_.q_empty());
    }
    store(o, state, rows);
  }

  ATTNSIM_D void store(const float (&o)[kOut][4], const RowState (&state)[2], const RowMap& rows) const {
    float inverse[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float sum = row_sum(state[h]);
      inverse[h] = sum > 0 ? 1.0F / sum : 0.0F;
      const int row = first_row() + accumulator_row(lane_index(), 2 * h);
      if (a_.lse != nullptr && lane_index() % 4 == 0 && row < rows.limit()) {
        a_.lse[rows.lse_index(row)] = row_lse2(state[h].maximum, sum, scale_) * kLn2;
        tally_.bytes(4);
      }
    }
    E* out = static_cast<E*>(a_.o);
    write_rows<E>(o, inverse, at_.o, T::TileQ, first_row(), [&](int row) {
      tally_.bytes(row < rows.limit() ? 16 : 0);
      return row < rows.limit() ? out + rows.index(row) * T::D : nullptr;
    });
  }

  const AttentionArgs& a_;
  const Layout<T>& at_;
  DirectTally<T::kCounts> tally_;
  float scale_;
  int group_, warp_;
  int trip_ = 0;  // KV tiles so far, over all items
};

template <class T>
__global__ void __launch_bounds__(T::kThreads, 1)
    hopper_kernel(const __grid_constant__ AttentionArgs a, const __grid_constant__ HopperMaps maps, float scale, int q_tiles, int items,
                  int section) {
#if ATTNSIM_SM90
  const Layout<T> at;
  if (threadIdx.x == 0) {
    mbarrier_init(at.q_full(), 1);
    mbarrier_init(at.q_empty(), 4 * kConsumers);
    for (int s = 0; s < kStages; ++s) {
      mbarrier_init(at.k_full(s), 1);
      mbarrier_init(at.v_full(s), 1);
      mbarrier_init(at.k_empty(s), 4 * kConsumers);
      mbarrier_init(at.v_empty(s), 4 * kConsumers);
    }
    fence_barrier_init();
  }
  sync_block();
  if (threadIdx.x < 128) {
    give_registers<40>();
    if (threadIdx.x == 0) produce<T>(a, maps, at, q_tiles, items, section);
  } else {
    take_registers<232>();
    Consumer<T> consumer(a, at, scale);
    consumer.run(q_tiles, section);
  }
#endif
}

template <class T>
Status forward(const AttentionArgs& a, const HopperMaps& maps, int ctas, Stream stream) {
  const int q_tiles = ceil_div(a.q_len, T::TileQ);
  const int items = q_tiles * a.q_heads * a.batch;
  int section = 0;
  if (a.right >= 0) {  // rows differ in length
    constexpr std::int64_t kSectionBytes = 32 << 20;
    const std::int64_t head_bytes = 4LL * a.kv_len * T::D;  // K and V
    const int kv_heads = greatest(1, static_cast<int>(kSectionBytes / head_bytes));
    section = least(kv_heads * (a.q_heads / a.kv_heads), a.batch * a.q_heads);
  }
  return launch(hopper_kernel<T>, dim3(static_cast<unsigned>(least(ctas, items))), dim3(T::kThreads), T::kSharedBytes, stream, a, maps,
                a.scale * kLog2E, q_tiles, items, section);
}

}  // namespace

Status forward_hopper(const AttentionArgs& a, const HopperMaps& maps, int head_dim, Dtype dtype, int ctas, Stream stream) {
  if (a.tally != nullptr && head_dim == 64) return forward<HopperTile<Bf16, 64, true>>(a, maps, ctas, stream);
  if (a.tally != nullptr && head_dim == 128) return forward<HopperTile<Bf16, 128, true>>(a, maps, ctas, stream);
  if (head_dim == 64 && dtype == Dtype::bf16) return forward<HopperTile<Bf16, 64>>(a, maps, ctas, stream);
  if (head_dim == 64 && dtype == Dtype::f16) return forward<HopperTile<F16, 64>>(a, maps, ctas, stream);
  if (head_dim == 128 && dtype == Dtype::bf16) return forward<HopperTile<Bf16, 128>>(a, maps, ctas, stream);
  if (head_dim == 128 && dtype == Dtype::f16) return forward<HopperTile<F16, 128>>(a, maps, ctas, stream);
  return kUnsupported;
}

}  // namespace attnsim::cuda

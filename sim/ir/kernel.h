// SPDX-License-Identifier: Apache-2.0
// A kernel: items x tile program x grid policy. Items are kept as slabs (batch x head) times row tiles with run-length trips,
// so a million tokens cost one RowTile per query tile, not one per (query tile, head).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/core/small_vector.h"
#include "sim/ir/program.h"

namespace attnsim::ir {

// `count` loop tiles from `first` in steps of `step`, in visit order.
struct TripRun {
  std::int64_t first = 0;
  std::int64_t count = 0;
  int step = 1;
  bool partial = false;  // needs mask ops
};

// Most row tiles have no more than three: masked, full, masked.
using TripRuns = SmallVector<TripRun, 3>;

// One row (query) tile of an index set; with split-KV one per (query tile, split).
struct RowTile {
  std::int64_t row_begin = 0;
  std::int64_t rows = 0;  // valid rows
  TripRuns runs;
  std::int64_t kept = 0;  // (row, loop column) pairs that the mask keeps, inside the valid extents
  int split = 0;
  int peers = 0;      // trips of sections with TripSource::peers
  bool flag = false;  // When::item_flag
  [[nodiscard]] std::int64_t trips() const {
    std::int64_t n = 0;
    for (const TripRun& run : runs) n += run.count;
    return n;
  }
  [[nodiscard]] std::int64_t partial_trips() const {
    std::int64_t n = 0;
    for (const TripRun& run : runs) n += run.partial ? run.count : 0;
    return n;
  }
};

struct ItemFamily {
  std::int64_t slab_begin = 0;
  std::int64_t slab_count = 1;
  std::int64_t loop_extent = 0;  // valid columns of the loop dimension (kv_len)
  std::int64_t shift = 0;        // of Relation::shift_coefficient, where families differ
  std::vector<RowTile> tiles;
  std::vector<std::int64_t> parameters = {};  // of Relation::parameter
  [[nodiscard]] std::int64_t item_count() const { return slab_count * static_cast<std::int64_t>(tiles.size()); }
};

struct Item {
  std::int64_t slab = 0;
  const ItemFamily* family = nullptr;
  const RowTile* tile = nullptr;
};

enum class GridPolicy : std::uint8_t {
  one_item_per_cta,    // hardware dispatch in grid order
  persistent_static,   // CTA c of G takes items c, c + G, ...
  persistent_dynamic,  // items in grid order, drawn from a counter at run time
  lists                // explicit list of items per CTA (stream-K, LeanAttention)
};
enum class TileOrder : std::uint8_t { ascending, descending };  // descending: last query tile (longest when causal) first
enum class Fastest : std::uint8_t { tiles, slabs };             // which index varies fastest over the grid

struct Grid {
  GridPolicy policy = GridPolicy::one_item_per_cta;
  TileOrder tile_order = TileOrder::ascending;
  Fastest fastest = Fastest::tiles;
  std::int64_t section_slabs = 0;                // with Fastest::slabs: slabs handled before the next section starts; 0 = all
  std::int64_t interleave = 0;                   // > 1 (divides slab_count): visit slabs 0, n/i, 2n/i, ..., then 1, n/i + 1, ...
  int cluster = 1;                               // CTAs per cluster; a cluster occupies that many SMs of one GPC at once
  int cluster_tiles = 1;                         // with Fastest::slabs: row tiles of a slab that follow one another (divides their count)
  bool programmatic_launch = false;              // may start while its predecessor drains
  std::vector<std::vector<std::int64_t>> lists;  // GridPolicy::lists: positions in the grid order
};

// Pages of a cache that lie anywhere in it: what HBM reads are pieces of so many bytes at places all over so many bytes.
struct Scatter {
  double piece_bytes = 0;  // 0: what is read lies together
  double spread_bytes = 0;
};

struct Kernel {
  std::string name;
  Program program;
  std::vector<ItemFamily> families;
  Grid grid;
  Scatter scatter = {};
  bool random_trips = false;      // which loop tiles an item visits says nothing about the next one: L2 keeps a part of all of them
  bool scattered_writes = false;  // rows that it stores lie all over a cache, a piece a head
  int request_bytes = 0;          // of a row that its copies ask for at a time; 0: whole lines
};

// The items of a kernel in grid order. Positions are 0 .. size() - 1; families follow one another.
class ItemSequence {
 public:
  explicit ItemSequence(const Kernel& kernel);
  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] Item at(std::int64_t position) const;

 private:
  const Kernel* kernel_;
  std::vector<std::int64_t> first_;  // first position of each family
  std::int64_t size_ = 0;
};

// CTAs of one kernel that fit on an SM, from SMEM, registers, threads and slots (ceil to the hardware's granules:
// registers per warp in 256s, SMEM in 1 KiB with 1 KiB reserved per CTA, tensor memory in powers of two of its columns). 0 when
// it does not fit at all.
struct SmLimits {
  std::int64_t smem_bytes = 0;
  std::int64_t tmem_bytes = 0;
  std::int64_t registers = 0;
  int threads = 0;
  int ctas = 0;
};
[[nodiscard]] int occupancy(const Program& program, const SmLimits& limits);

}  // namespace attnsim::ir

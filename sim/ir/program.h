// SPDX-License-Identifier: Apache-2.0
// The tile program: what each agent of one CTA does for one item. Written out with six worked programs in docs/ir.md.
//
//   program = axes + tiles + tokens + sections + agents;  agent = for each section, ops in program order
//
// Order of execution. An agent walks its items; for an item it walks the sections. A `once` section runs its ops once. A
// `loop` section of n trips runs steps t = 0 .. n - 1 + max_skew; at step t the op with skew k handles trip t - k when
// 0 <= t - k < n and does nothing otherwise (modulo scheduling: prologue and epilogue need no code).
//
// Waiting. An agent issues in order. Before an op issues, the register tiles it reads or overwrites must be free of its own
// pending asynchronous ops (hardware scoreboard, wgmma wait). Tiles in SMEM and tensor memory are guarded by tokens alone: a
// missing token is a wrong value, and the engine does not save you. But the tcgen05 MMAs of one agent execute in issue order. `load`
// (except CopyKind::plain), `store` and asynchronous `mma` complete after they issue; all else completes before the next op of the agent
// issues.
//
// Tokens count in phases. An agent's n-th signal on a token (an asynchronous op takes its place when it issues and signals
// when it completes) belongs to phase n / share, share = arrivals / number of agents that signal the token: so a load that
// overtakes an earlier one, or a consumer that runs ahead of another, never completes a phase in their place. (As a barrier
// per slot does.) The k-th await of an agent on a token, k = 0, 1, ... over the life of the CTA, passes when the phases
// 0 .. k - distance are complete; the first initial_count / arrivals phases are complete from the start, and signals fill the
// phases after them. So `full` has distance 0, and `empty` of a ring of S slots has distance S: a producer may run ahead over
// items. A kernel token counts plainly, per item group (family, slab, row_begin): the k-th await of a CTA's agent in the
// group passes when count >= (k + 1 - distance) * arrivals, and last_arriver is the CTA whose signal makes the count equal to
// arrivals.
//
// Coordinates of compare and iota follow the axis: item.row_begin + row_offset + i for item_rows, visited tile * padded + i for
// trip_cols, i for fixed axes. In a loop over peers the visited tile is the peer, and outside loops trip axes are whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/ir/op.h"
#include "sim/ir/row_order.h"

namespace attnsim::ir {

using AxisId = int;
using TileId = int;
using TokenId = int;
using TensorId = int;
inline constexpr AxisId kUnit = -1;  // an axis of extent 1 (row vectors are [rows x kUnit])
inline constexpr int kNone = -1;

// One dimension of tiles. `padded` drives MMA, vector and SFU cost; `valid` drives values and bytes.
enum class AxisKind : std::uint8_t {
  fixed,      // valid is a constant (head_dim 80 padded to 96)
  item_rows,  // valid = rows of the item's row tile in [row_offset, row_offset + padded)
  trip_cols   // valid = columns of the visited loop tile inside the family's loop_extent
};
struct Axis {
  std::string name;
  AxisKind kind = AxisKind::fixed;
  int padded = 1;
  int valid = 1;       // fixed axes only
  int row_offset = 0;  // item_rows: first row that this agent owns
};

enum class Space : std::uint8_t { smem, registers, tmem };

// A named tile variable with real storage. A ring of `stages` slots; the slot of an access is (trips so far of the agent's
// loop, over all its items) % stages inside a loop, (items so far) % stages outside.
struct Tile {
  std::string name;
  Space space = Space::registers;
  AxisId rows = kUnit;
  AxisId cols = kUnit;
  DType dtype = DType::f32;
  int stages = 1;
  TileId alias_of = kNone;  // lies in the storage of this tile (O staged in V's SMEM); aliases of one tile lie side by side
  int agent = kNone;        // owner of a register tile
  int slice_cols = 0;       // > 0: streamed through its storage, which holds so many columns at a time
  int borrowed_slots = 0;   // of the stages: lie in another ring, whose slots the tokens show to be free by then (K and V in one ring)
  // A view: the columns [view_column, view_column + cols) of the slots of this SMEM tile, whose rows, dtype and stages it shares. It has no
  // storage and is never written: who reads it reads what was loaded there (MLA's V in K: one loaded tile as both operands).
  TileId view_of = kNone;
  int view_column = 0;
  // CTAs of a cluster that hold it together (tcgen05 pairs): each has a part of the rows of an SMEM tile; an accumulator's rows lie in as
  // many parts of the lanes, each with a part of the columns.
  int shared_by = 1;
};

// Loads that several agents issue in part (cp.async by all warps) use arrivals > 1.
// A turn is a counter in global memory for each tile of the loop and slab: the items that visit the tile signal it one after another, in
// grid order, and an await passes when all items before have.
enum class TokenScope : std::uint8_t { cta, kernel, turn };
[[nodiscard]] std::string_view name_of(TokenScope s);
struct Token {
  std::string name;
  TokenScope scope = TokenScope::cta;
  int arrivals = 1;  // signals per phase
  int initial_count = 0;
};

// When an op of a loop acts, judged for the trip that it handles; the item_* ones work in every section.
enum class When : std::uint8_t {
  always,
  first_trip,
  not_first_trip,
  last_trip,
  partial_trip,
  full_trip,
  item_flag,
  not_item_flag,  // RowTile::flag, e.g. stream-K pieces that must hand over
  last_arriver    // this CTA's signal completed the kernel token `Op::token` for its item group
};

enum class CopyKind : std::uint8_t { plain, cp_async, tma, tma_multicast };
// ss/rs: A operand in SMEM/registers. lanes: no matrix unit, but multiply-adds of the vector lanes; the lanes of a row of the result read
// vectors of B's stored rows.
enum class MmaKind : std::uint8_t { mma_sync, wgmma_ss, wgmma_rs, tcgen05, systolic, lanes };
[[nodiscard]] constexpr bool is_async(MmaKind k) {
  return k != MmaKind::mma_sync && k != MmaKind::lanes;
}
[[nodiscard]] std::string_view name_of(CopyKind k);
[[nodiscard]] std::string_view name_of(MmaKind k);
[[nodiscard]] std::string_view name_of(When w);

// Address of a tile in a global tensor.
//   slab = item.slab (% slab_period) / slab_divisor * slab_multiplier + (add_split ? item.split : 0) + (add_trip ? visited tile : 0)
//   row  = row_offset + {0, item.row_begin, visited tile * padded(rows)};  columns from column_begin on
// With an `order` that row is a place of it: the access reads or writes the row of the tensor that stands there, and at padding
// reads zeros and writes nothing.
enum class RowFrom : std::uint8_t { zero, item, trip };
struct Access {
  TensorId tensor = kNone;
  int slab_divisor = 1;
  int slab_multiplier = 1;
  bool add_split = false;
  bool add_trip = false;
  RowFrom row_from = RowFrom::zero;
  int row_offset = 0;
  int column_begin = 0;  // agents that share the columns of a row; the bounds take such a row as touched from column 0 on
  int order = kNone;     // of Program::orders
  int row_group = 1;     // rows of the item lie in so many slabs: row r is row r / row_group of slab * row_group + r % row_group
  int slab_period = 0;   // > 0: item slabs repeat with it (numbers per head that the batch shares)

  [[nodiscard]] std::int64_t slab_of(std::int64_t item_slab) const {
    return (slab_period > 0 ? item_slab % slab_period : item_slab) / slab_divisor * slab_multiplier;
  }
};

// compare: keep where row_coefficient * (row / row_group) + col_coefficient * col + offset >= 0, with absolute coordinates
// row = item.row_begin + axis.row_offset + i, col = visited tile * padded + j. row_group = query heads packed per token.
// Ragged batches add extent_coefficient * family.loop_extent + shift_coefficient * family.shift (0 elsewhere), and where item
// families differ otherwise, family.parameters[parameter]. iota gives the left side of the relation instead.
struct Relation {
  int row_coefficient = 0;
  int row_group = 1;
  int col_coefficient = 0;
  std::int64_t offset = 0;
  int extent_coefficient = 0;
  int shift_coefficient = 0;
  int parameter = kNone;
};

struct Op {
  OpKind kind = OpKind::view;
  std::string role;  // load_k, qk, mask, softmax, pv, rescale, store, ...
  std::vector<TileId> in;
  std::vector<TileId> out;
  Fn fn = Fn::none;
  std::optional<double> scalar;  // second operand of a binary op, fill of a select
  // Cost only. `share`: expected part of the executions that act; in the others the op would change nothing and is skipped
  // (FA4 rescales O only where the row maximum has grown enough). `polynomial`: part of an exp2's elements on the FP32 lanes.
  double share = 1;
  double polynomial = 0;
  // A load that brings the whole padded tile to the SM, whatever of it is valid (paged kernels fetch tiles of fixed size): rows behind
  // the last one are memory like the others. Cost only.
  bool whole_tile = false;
  // An element-wise result that the compiler knows, as the place of a column in its tile: its users hold it as an immediate. Cost only.
  bool immediate = false;
  // Computed as written: a multiply does not contract with the addition behind it, an exp2 keeps results below the smallest normal number,
  // for which its argument and its result are scaled. What compilers do without fast math. Cost only.
  bool precise = false;
  // Element-wise ops on tensor memory: reads of a lane that wait for one another, as its registers hold only some of the columns. Cost
  // only.
  double tmem_rounds = 1;
  // One of several equal parts, by number: of the columns of an element-wise op's operands and result, of an mma's k.
  int part = 0;
  int parts = 1;
  When when = When::always;
  int skew = 0;
  // An asynchronous mma that takes turns with those of other agents by instructions of one k-step; else the matrix unit finishes it before
  // it begins another. Cost only.
  bool by_steps = false;
  // mma: m = rows of out, n = columns of out, k = columns of A (rows of A when a_transposed)
  MmaKind mma = MmaKind::mma_sync;
  bool a_transposed = false;
  bool b_transposed = false;  // B given as [n x k], as K in Q K^T
  int warp_columns = 1;       // mma_sync: warps side by side along n, the others along m; each side's operand is read once per warp row
  bool accumulate = false;
  // mma: two CTAs of a cluster multiply together and each holds half of B (tcgen05 cta_group::2); load: of such a B, the CTA's half
  bool pair = false;
  // load, store
  CopyKind copy = CopyKind::plain;
  Access access;
  // A store or atomic that is complete when all SMs see it; else an asynchronous one is when its tile has been read. A signal of a turn
  // behind a fence: its agent goes on when all SMs see it. Cost only.
  bool until_seen = false;
  std::vector<TokenId> completes;  // signalled when the op completes
  // signal, await. A signal also waits until the tiles in `in` are complete.
  TokenId token = kNone;
  int distance = 0;
  Relation relation;
};

enum class SectionKind : std::uint8_t { once, loop };
enum class TripSource : std::uint8_t { runs, peers };  // RowTile::runs, or RowTile::peers trips (stream-K fix-up)
struct Section {
  std::string name;
  SectionKind kind = SectionKind::once;
  TripSource trips = TripSource::runs;
};

struct Agent {
  std::string name;
  int warps = 4;
  int registers_per_thread = 128;
  std::vector<std::vector<Op>> sections;  // [section][position]
  // Its code runs the pipes of a chain beside each other and beside those of the agents that it takes turns with: its chains occupy the
  // special-function unit, only their own agent waits for what other pipes have left to do, and what they read and write in SMEM passes
  // between the operands of MMAs. Cost only.
  bool interleaved = false;
};

struct Program {
  std::vector<Axis> axes;
  std::vector<Tile> tiles;
  std::vector<Token> tokens;
  std::vector<Section> sections;
  std::vector<Agent> agents;
  std::vector<RowOrder> orders = {};

  [[nodiscard]] int padded(AxisId axis) const { return axis == kUnit ? 1 : axes[static_cast<std::size_t>(axis)].padded; }
  [[nodiscard]] std::int64_t padded_elements(TileId tile) const;
  [[nodiscard]] std::int64_t stored_elements(TileId tile) const;  // at a time: of one slice where the tile is streamed
  [[nodiscard]] std::int64_t smem_bytes() const;                  // all SMEM tiles with their stages, aliases counted once
  [[nodiscard]] std::int64_t tmem_bytes() const;                  // likewise; rows padded to the 128 lanes
  [[nodiscard]] int threads() const;
  [[nodiscard]] int signallers(TokenId token) const;   // agents that signal it
  [[nodiscard]] TileId storage_of(TileId tile) const;  // the tile whose storage it uses: itself, or the end of its aliases and views
  [[nodiscard]] TileId shown_by(TileId tile) const;    // the tile that a view shows; itself where it is no view
};

[[nodiscard]] bool has_loop(const Program& program);

// True for loads other than plain ones, stores and asynchronous MMAs: the agent goes on after issue.
[[nodiscard]] bool completes_later(const Op& op);

// Throws Invariant with the op's place when the program is malformed: unknown ids, shapes of operands that do not fit,
// register tiles of another agent, sections missing in an agent, negative skew, tokens never signalled.
void check(const Program& program);

}  // namespace attnsim::ir

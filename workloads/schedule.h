// SPDX-License-Identifier: Apache-2.0
// HOW a family is computed: data (workloads/schedules/NAME.json), knows no variant.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/ir/kernel.h"
#include "workloads/pass.h"

namespace attnsim {

enum class MaskClass { any, full, causal, local };  // local: bounded on the lower side (sliding window)

// Where a role stands in an agent's program order, and how many trips it lags (modulo scheduling).
struct RolePlacement {
  std::string role;
  int skew = 0;
};

// all: one agent loads and computes (FA2). issuer, correction, epilogue: only where accumulators lie in tensor memory (FA4). reducer:
// backward, hands dQ tiles to the copy engine, which adds them to dQ's accumulator.
enum class AgentKind { producer, consumer, all, issuer, correction, epilogue, reducer };
struct AgentSpec {
  std::string name;
  AgentKind kind = AgentKind::all;
  int warps = 4;
  int registers_per_thread = 128;
  std::vector<RolePlacement> loop;  // roles of the main loop in program order
};

// The first matching rule whose SMEM and registers fit the chip wins. Sizes of one CTA.
struct TileRule {
  int head_dim_max = 256;  // applies when padded head_dim_qk <= this
  MaskClass mask = MaskClass::any;
  int rows_max = 0;  // applies when no sequence has more rows (tokens, times the group where packed); 0: any number
  int tile_q = 128;  // rows of one CTA, all consumers together
  int tile_kv = 128;
  int step_kv = 0;               // keys that are visited together, a multiple of tile_kv; 0: tile_kv
  int consumers = 1;             // consumer agents; each owns tile_q / consumers rows
  int stages = 1;                // K and V slots each
  int stages_v = 0;              // V slots; 0: as K
  int kv_ring = 0;               // > 0: K and V take turns in one ring of so many slots; 0: a ring each
  bool p_in_smem = false;        // P goes through SMEM to the second MMA
  bool split_columns = false;    // consumers share the columns of V (and O) instead of the rows; the first one scores for all
  bool each_scores = false;      // with split_columns: every consumer scores all rows by itself; without a producer the first loads
  int k_pieces = 1;              // parts of K's columns that are loaded and released one by one (accumulators in TMEM)
  int v_pieces = 1;              // the same of V's
  int cta_columns = 0;           // > 0: columns of V and O per CTA, which scores for them anew (accumulators in TMEM)
  int slice_cols = 0;            // > 0: Q, K, V and O are streamed in slices of so many columns, Q anew for every KV tile
  int warps = 0;                 // of one computing agent; 0: as the agent says
  int registers_per_thread = 0;  // of the computing agents; 0: as the agent says
  // mma.sync: warps of the computing agent side by side along the columns of its products. Forward: of S and of O, more than one of them
  // pass on row maxima and sums, and P, through SMEM.
  // Backward: `stages` are slots of Q, `stages_v` of dO; along the columns of S^T and dP^T (queries), of dK and dV (head_dim), of dQ
  // (head_dim).
  int warp_columns = 1;
  int warp_columns_dkv = 1;
  int warp_columns_dq = 1;
  // Backward, where dQ has a kernel of its own: queries of its items, keys of its trips, its warps; 0: tile_kv, tile_q, warps.
  int dq_rows = 0;
  int dq_columns = 0;
  int dq_warps = 0;
  int dq_registers_per_thread = 0;  // 0: as the others
  int dq_warp_columns = 0;          // > 0: mma.sync, warps side by side along keys and head_dim, which pass dS on through SMEM
  // Integer instructions of a warp in every trip beside those of tiles (addresses, bounds, predicates, descriptors); backward: of the
  // kernel of dK and dV and of dQ's own.
  int trip_instructions = 0;
  int dq_trip_instructions = 0;
  // Tiles as boxes of an n-D layout: extents by axis for one, two and three axes, of volume tile_q and tile_kv. Empty: tiles of a
  // sequence.
  std::vector<std::vector<std::int64_t>> q_boxes;
  std::vector<std::vector<std::int64_t>> kv_boxes;
};

// Backward. How dQ comes together over the KV tiles that a query visits: fp32 atomics in any order; ordered: the same in the
// order of the KV tiles, each waiting for its turn at a counter of the query tile (deterministic); or a kernel of its own that walks the
// KV tiles of a query tile and recomputes S and dP.
enum class GradQuery { atomic, ordered, kernel };
// How dK and dV come together over the query heads of a group: one copy per query head, added by a kernel; or fp32 atomics and a kernel
// that converts.
enum class GradKeyValue { sum_kernel, atomic };
struct BackwardRules {
  GradQuery grad_query = GradQuery::atomic;
  [[nodiscard]] bool adds_grad_query() const { return grad_query != GradQuery::kernel; }
  GradKeyValue grad_kv = GradKeyValue::sum_kernel;
  bool clear_in_preprocess = true;  // the row-sum kernel zero-fills dQ's accumulator; else a kernel of its own does
  bool ds_in_registers = false;     // dS feeds dK from registers, not from the SMEM copy that dQ reads
  bool ds_in_smem = false;          // accumulators in TMEM: dS feeds dK, behind dQ, from that copy, not from TMEM ahead of dQ
  bool turns_fenced = true;         // GradQuery::ordered: who passes a turn on waits until all SMs see that
  bool pair = false;                // two CTAs of a cluster multiply together (tcgen05 cta_group::2)
  int trip_local_reads = 0;      // dependent reads per trip of what lies in local memory (spills, arrays that were not kept in registers)
                                 // and comes from L2, as SMEM leaves the first-level cache less than that
  bool scale_in_trip = false;    // S is scaled before it is masked, dS in every trip instead of dK and dQ at the end
  bool gathers_queries = false;  // the kernel of dK and dV takes, by lists, the queries that visit its keys; else tiles in which some do
  bool makes_lists = false;      // kernels count, sort and cut the entries of those lists first
  double list_host_us = 0;       // host work in between, while the GPU waits: sizes that are read back before the next launch
  std::optional<ir::MmaKind> dq_mma;  // of dQ's own kernel, where it is another one
  int item_global_round_trips = 0;    // dependent L2 reads before an item's first load (lengths, lists)
  bool clears_gradients = false;      // kernels zero-fill dQ and the parts of dK and dV, though others write all of them
  bool dq_packs_group = false;        // a row tile of dQ's own kernel is one token, with the heads of a group as its rows
  bool waits_for_products = false;    // asynchronous products are waited for at once, one by one
  int row_kernel_rows = 64;           // rows of a CTA of the kernels before and after
  int row_kernel_warps = 8;
};

// Rules restated in MODELLING_NOTES decode section 4; stream_k: families/stream_k.h, flashinfer: families/splits.h.
enum class SplitPolicy { none, fixed, fa2, fa3, trtllm, flashinfer, flashinfer_mla, cutlass_mla, stream_k };
enum class Combine { none, kernel, last_cta, owner };                       // owner: of the first KV tile, with stream_k
enum class MaskPolicy { partial_tiles, all_tiles, all_or_none, no_tiles };  // all_or_none: all visited tiles where any needs it

// One kernel of a GEMM library. Sizes of one CTA; the fastest by estimate_gemm (families/gemm.h) is taken.
struct GemmTile {
  // Applies to C of so many rows and columns; a largest number of 0: any.
  int rows_min = 0;
  int rows_max = 0;
  int columns_min = 0;
  int columns_max = 0;
  bool transposed = false;  // computes C^T = B^T A^T only, whatever `transposes` says
  int tile_m = 128;
  int tile_n = 128;
  int tile_k = 64;
  int stages = 4;
  int consumers = 1;     // computing agents, tile_m / consumers rows each
  int warp_columns = 1;  // mma.sync: warps of the agent side by side along n
  int cluster_m = 1;     // CTAs along m that share B, or
  int cluster_n = 1;     // along n that share A
  bool pair = false;     // the two CTAs of cluster_m multiply together, each holds half of B
  int warps = 0;         // of one computing agent; 0: as the agent says
  int registers_per_thread = 0;
};
struct GemmRules {
  std::vector<GemmTile> tiles;
  std::vector<int> splits{1};  // of k; partial sums are added by a kernel of their own
  bool transposes = false;     // may compute C^T = B^T A^T, so that A's rows are the instruction's columns
  int raster_panels = 8;       // panels of tile_n columns that the grid walks together
};

// Form "eager": what a library does beside products and softmax.
struct EagerRules {
  bool copies_heads = true;      // Q, K and V are brought from token to head order by kernels, gradients back
  std::string computes;          // element type of everything in between, to and from which kernels convert; "": that of Q, K and V
  bool scales_operands = false;  // Q and K are multiplied by the root of the scale before their product; else it is a factor of the product
  bool expands_groups = false;   // K and V are copied for every query head of a group
  bool checks_rows = false;      // kernels look for rows without keys and clear their weights (safe softmax)
  bool returns_weights = false;  // a copy of P in the inputs' element type is made
};

// Rows of softmax and layer norm. The first rule that admits the number of columns is taken.
struct RowRule {
  int columns_max = 1024;
  int rows = 1;  // rows of one CTA
  int warps = 4;
  int columns_per_thread = 8;  // of one load; 0: the whole row at once
  bool keep = false;           // the row stays in registers; else every pass reads it again
  int registers_per_thread = 64;
};

struct Schedule {
  std::string name;
  std::string description;
  std::string source;
  std::string family = "tile-list";
  Pass pass = Pass::forward;
  // "fused"; "unfused": three kernels; "eager": kernel by kernel as a tensor library runs it (families/tile_list_eager.h).
  std::string form = "fused";
  std::vector<std::string> isas;            // chips whose isa is listed may run it; empty = any
  std::vector<std::string> dtypes;          // element types that it is compiled for; empty = any
  ir::MmaKind mma = ir::MmaKind::mma_sync;  // QK^T; PV takes rs/ss from p_in_smem where it is wgmma
  ir::CopyKind copy = ir::CopyKind::cp_async;
  std::vector<int> head_dims;  // padded sizes that the kernel is compiled for, ascending
  std::vector<AgentSpec> agents;
  std::vector<TileRule> tiles;
  bool pack_gqa = false;              // rows = tokens x group
  bool pack_gqa_decode_only = false;  // FA2: only when q_len = 1 and no window
  bool clears_output = false;         // a kernel zero-fills O before, though the main one writes all of it
  bool token_tiles = false;           // a row tile is one token, with the heads of a group as its rows where they are packed
  bool o_in_memory = false;           // O is loaded and stored for every KV tile that has fewer keys than O columns
  int o_pieces = 1;                   // in which tile_kv columns of an O in memory are read back, one after the other
  bool precise_softmax = false;       // exponentials compiled without fast math (Op::precise)
  bool f16_scores = false;            // Q K^T accumulates in FP16 (mma.sync of FP16 operands)
  bool f16_output = false;            // so does P V, from zero in each trip; O is kept in FP16 and updated in FP32
  [[nodiscard]] bool accumulates_f16() const { return f16_scores || f16_output; }
  bool q_in_registers = false;       // Q is read once, not from SMEM for every trip
  bool ping_pong = false;            // order tokens: consumers take turns at issuing QK^T
  int ping_pong_head_dim_max = 256;  // up to this padded head_dim_qk
  bool exp2_in_turn = false;         // order tokens: consumers take turns from the subtraction of the maximum to P
  bool mma_by_steps = false;         // asynchronous products of consumers that take no turns share the matrix unit by k-steps
  bool stage_o_in_v =
      false;  // epilogue writes O through V's SMEM: the next item's V waits for the store (accumulators in TMEM: its softmax too)
  MaskPolicy mask = MaskPolicy::partial_tiles;
  double exp2_polynomial = 0;                     // part of the exps that is a polynomial on the FP32 lanes instead of an SFU instruction
  std::vector<std::string> exp2_polynomial_isas;  // only on these; empty: on all
  // Accumulators in TMEM: the factors of a query tile stay in their buffer until O of the next one is scaled, and softmax waits for the
  // free buffer before it adds up the row (CUTLASS' correction pipelines); else they are free once read.
  bool holds_factors = false;
  // Parts of P's columns that softmax hands on one by one, and the product with V takes so (accumulators in TMEM).
  int p_parts = 1;
  bool softmax_interleaved = false;  // ir::Agent::interleaved of the softmax agents
  double rescale_share = 1;          // part of the trips in which some row's maximum grows enough to rescale O (accumulators in TMEM)
  // Rows of which a warp looks at the maxima: it leaves O as it is where none of them moved. 0: rescale_share says how often.
  int rescale_rows = 0;
  int rescale_columns = 0;       // of O that a lane reads from TMEM at once to rescale them, one read ahead; 0: all
  bool mask_first_trip = false;  // the first trip pays for mask ops even when unmasked
  bool kv_descending = true;     // visits KV tiles from the last to the first
  SplitPolicy split = SplitPolicy::none;
  int fixed_splits = 1;
  int max_splits = 128;
  int ctas_per_sm = 2;  // stream_k: shares of the line of KV tiles; flashinfer: CTAs that its plan counts on
  Combine combine = Combine::none;
  bool empty_splits_visit = false;     // a split that is left without keys loads and scores a tile all the same (FA4 on Hopper)
  int combine_warps = 4;               // of a CTA of the combine kernel
  int combine_elements = 0;            // of O per CTA of the combine kernel, in whole rows; 0: FA2's 4, 8 or 16 rows
  bool combine_grid_of_batch = false;  // each batch entry gets CTAs of the combine kernel for the rows of all; those without rows exit
  int combine_stages = 1;              // partials in flight while the combine walks over the splits
  bool programmatic_launch = false;    // the combine kernel may start while the attention kernel drains
  ir::GridPolicy grid = ir::GridPolicy::one_item_per_cta;
  ir::GridPolicy grid_causal = ir::GridPolicy::one_item_per_cta;
  ir::TileOrder tile_order = ir::TileOrder::ascending;  // with sections (l2_section_mib) a full mask stays ascending
  ir::Fastest fastest = ir::Fastest::tiles;             // and tiles-fastest
  bool batch_fastest = false;                           // slabs run over batch entries first, then heads (FA2's grid)
  double l2_section_mib = 0;                            // causal: heads per section = this / KV bytes per head (0: no sections)
  int cluster = 1;
  bool pair = false;  // the two CTAs of a cluster multiply together (tcgen05 cta_group::2): each has half of the rows, of K and of V
  // For variants that keep both in one tensor (MLA), and only for those: V is a view of the loaded K tile, or, where accumulators lie in
  // TMEM, loaded anew from K's tensor (a CTA of a pair multiplies other halves of the two).
  bool v_in_k = false;
  bool paged = false;  // K/V through a block table
  int page_tokens = 64;
  bool cache_by_head = false;           // a page holds its tokens head by head (HND), not its heads token by token (NHD)
  int request_bytes = 0;                // cp.async: bytes of a row that the lanes of a warp copy side by side; 0: whole lines
  bool scattered_pages = false;         // pages lie in no order: each is a place of its own for address translation
  bool whole_tile_loads = false;        // K and V tiles are fetched whole, also beyond the last key
  int consumer_global_round_trips = 0;  // dependent L2 reads of each consumer before an item's first trip (lengths, split count)
  int scheduler_batch_entries = 0;      // batch entries that one step of the work-tile search covers (FA3: a warp's lanes); 0: no search
  int item_global_round_trips = 0;      // dependent L2 reads before an item's first load (scheduler, lengths, block table)
  int trip_global_round_trips = 0;      // dependent L2 reads before a trip's K: the block table's entries of the tile
  bool prepare_kernel = false;  // a kernel before this one lays out the work tiles of every batch entry (FA3 without ready metadata)
  // Tiles that are boxes are addressed in the layout's own order, not reordered by kernels before and after, and the KV tiles of a query
  // tile begin at its first key, not on a grid.
  bool gathers_boxes = false;
  bool regroup_copies = false;  // FA2 decode packing copies Q in and O out when kv_heads > 1 and batch > 1
  BackwardRules backward;       // pass backward
  EagerRules eager;             // form "eager"
  GemmRules gemm;               // family gemm
  std::vector<RowRule> rows;    // family rowwise; form "eager": of softmax
  std::string resolved_json;    // canonical text: part of a result's identity
  [[nodiscard]] bool fused() const { return form == "fused"; }
};

// Names of the shipped schedules (files of workloads/schedules), sorted.
[[nodiscard]] std::vector<std::string> schedule_names();
// Throws ConfigError: unknown name (with the nearest), or a file that its schema refuses.
[[nodiscard]] Schedule load_schedule(const std::string& name);

}  // namespace attnsim

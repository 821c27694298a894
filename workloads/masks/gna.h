// SPDX-License-Identifier: Apache-2.0
// Generalised neighbourhood attention in one to three dimensions: the product of the axes' windows (gna_axis.h), and keys that
// every query sees beside them.
//
// GnaMask is the definition: tokens of the layout in row-major order, then `extra_keys` keys. GnaTileMask is the same mask in
// the order in which NATTEN's Hopper and Blackwell kernels hold their tokens: every dilation class one after another, in it
// the tiles in row-major order, in each tile its tokens in row-major order, every axis padded to whole tiles. A KV tile of
// that order is a box, so that the tiles visited by a query tile are a product of one range per axis. So they are where every query
// tile has KV tiles of its own, from its first key on (NATTEN's Ampere kernel): on each axis, query tile i owns tiles i n .. i n + n - 1,
// n the most that one visits.
#pragma once

#include <string>
#include <vector>

#include "sim/ir/row_order.h"
#include "workloads/masks/gna_axis.h"
#include "workloads/masks/mask.h"

namespace attnsim {

struct GnaShape {
  std::vector<GnaAxis> axes;  // 1 to 3, the last varies fastest
  std::int64_t extra_keys = 0;
  bool held_in_boxes = false;  // Mask::held_in_boxes
  [[nodiscard]] std::int64_t tokens() const;
  [[nodiscard]] std::int64_t classes() const;                                     // products of residues
  [[nodiscard]] ir::RowOrder order(const std::vector<std::int64_t>& tile) const;  // tokens of the layout in tile order
  // The same of the KV tiles that query tiles own.
  [[nodiscard]] ir::RowOrder order_from_first_keys(const std::vector<std::int64_t>& tile_q, const std::vector<std::int64_t>& tile_kv) const;
  // Axes of class c, 0 <= c < classes(), the last residue fastest.
  [[nodiscard]] std::vector<AxisClass> class_axes(std::int64_t c) const;
};

// Tokens per tile and axis; the product is the kernel's tile_q or tile_kv.
using TileShape = std::vector<std::int64_t>;
[[nodiscard]] std::int64_t volume(const TileShape& tile);
[[nodiscard]] std::string text(const TileShape& tile);  // 16x8

class GnaMask final : public Mask {
 public:
  explicit GnaMask(GnaShape shape);
  [[nodiscard]] bool keeps(std::int64_t q, std::int64_t k) const override;
  [[nodiscard]] std::vector<TileRun> runs(Range queries, std::int64_t tile_kv) const override;
  [[nodiscard]] std::int64_t kept(Range queries, Range keys) const override;
  [[nodiscard]] MaskTest test() const override;
  [[nodiscard]] std::size_t rank() const override { return shape_.axes.size(); }
  [[nodiscard]] bool held_in_boxes() const override { return shape_.held_in_boxes; }
  [[nodiscard]] BoxedMask boxed(const TileShape& q_box, const TileShape& kv_box, KvTiling tiling) const override;
  [[nodiscard]] const GnaShape& shape() const { return shape_; }

 private:
  GnaShape shape_;
};

// Queries and keys are places of their own orders; extra keys follow the padded places and begin a KV tile of their own.
// Padding keys are never kept, nor those of KV tiles that another query tile owns. A padding query keeps nothing either, but does not make
// a tile partial: nobody reads its row.
class GnaTileMask final : public Mask {
 public:
  GnaTileMask(GnaShape shape, const TileShape& tile_q, const TileShape& tile_kv, KvTiling tiling = KvTiling::on_grid);
  [[nodiscard]] bool keeps(std::int64_t q, std::int64_t k) const override;
  // `queries` is one query tile, `tile_kv` the volume of the KV tile.
  [[nodiscard]] std::vector<TileRun> runs(Range queries, std::int64_t tile_kv) const override;
  [[nodiscard]] std::int64_t kept(Range queries, Range keys) const override;
  // For pairs of one class. Nothing where NATTEN's closed test finds no window to cut a tile, but the end of padded axes.
  [[nodiscard]] MaskTest test() const override;
  // The queries of a key instead of the keys of a query, for keys that exist. On a grid only.
  [[nodiscard]] MaskTest test_by_key() const override;

  [[nodiscard]] const GnaShape& shape() const { return shape_; }
  [[nodiscard]] const ir::RowOrder& q_order() const { return q_order_; }
  [[nodiscard]] const ir::RowOrder& kv_order() const { return kv_order_; }
  // Whether no score needs the test of the window, by enumeration (on a grid) and by the kernels' closed tests; on every class.
  [[nodiscard]] bool fully_block_sparse() const;
  [[nodiscard]] bool natten_fully_block_sparse() const;
  [[nodiscard]] bool kv_padding() const;  // some KV tile holds places without a token

 private:
  [[nodiscard]] std::vector<Range> query_box(std::int64_t first_place) const;
  [[nodiscard]] bool owns(std::int64_t q, std::int64_t k) const;

  GnaShape shape_;
  ir::RowOrder q_order_;
  ir::RowOrder kv_order_;
  std::vector<std::vector<AxisClass>> classes_;
};

// KV tiles visited by the query tiles of one class.
struct VisitCounts {
  std::int64_t kv_tiles = 0;  // of the class, on a grid
  std::int64_t most = 0;      // of one query tile
  double mean = 0;
};
[[nodiscard]] VisitCounts visit_counts(const GnaShape& shape, const TileShape& tile_q, const TileShape& tile_kv,
                                       KvTiling tiling = KvTiling::on_grid);

}  // namespace attnsim

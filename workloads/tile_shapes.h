// SPDX-License-Identifier: Apache-2.0
// Tile shapes that a library compiles for a schedule with boxes, as data: workloads/tile_shapes/SCHEDULE.json. Groups hold for head sizes
// up to `head_dim_max` (the smallest that fits decides) and not for chips of `not_isas`.
//
//   tile_shapes("natten-fna-sm90", 2, 128, "sm_90")   // {{16, 8}, {16, 8}}
#pragma once

#include <string>
#include <vector>

#include "sim/core/json_fwd.h"
#include "workloads/schedule.h"

namespace attnsim {

struct TilePair {
  std::vector<std::int64_t> q;  // extents by axis
  std::vector<std::int64_t> kv;
};

// Whether a schedule works on boxes of tokens.
[[nodiscard]] bool works_on_boxes(const Schedule& schedule);
// Schedules that have such a file, sorted.
[[nodiscard]] std::vector<std::string> schedules_with_tile_shapes();
// In file order; empty where none is compiled. Throws ConfigError: a schedule without a file, a malformed file.
[[nodiscard]] std::vector<TilePair> tile_shapes(const std::string& schedule, std::size_t rank, std::int64_t head_dim,
                                                const std::string& isa);
[[nodiscard]] std::vector<TilePair> parse_tile_shapes(const JsonDocument& document, std::size_t rank, std::int64_t head_dim,
                                                      const std::string& isa);

// The document of a shipped schedule with one tile rule: the one of these volumes (else the one that the head size gets), with these boxes.
// parse_schedule reads it. Throws ConfigError where the schedule has no boxes.
[[nodiscard]] JsonDocument with_boxes(const std::string& schedule, const TilePair& tiles, std::int64_t head_dim);

}  // namespace attnsim

// SPDX-License-Identifier: Apache-2.0
#include "workloads/masks/block_mask.h"

#include <filesystem>
#include <fstream>

#include "sim/core/error.h"
#include "tests/masks/mask_contract.h"
#include "tests/support/temporary_folder.h"
#include "workloads/masks/pattern_file.h"

using namespace attnsim;
using attnsim::test::draw;

namespace {

using Grid = std::vector<std::vector<bool>>;

std::vector<Range> runs_of(const std::vector<bool>& row) {
  std::vector<Range> runs;
  for (std::size_t c = 0; c < row.size(); ++c) {
    const auto column = static_cast<std::int64_t>(c);
    if (row[c] && c > 0 && row[c - 1]) {
      ++runs.back().end;
    } else if (row[c]) {
      runs.push_back({column, column + 1});
    }
  }
  return runs;
}

Grid random_grid(std::mt19937& rng, std::int64_t rows, std::int64_t columns, std::int64_t percent) {
  Grid grid(static_cast<std::size_t>(rows), std::vector<bool>(static_cast<std::size_t>(columns)));
  for (auto& row : grid) {
    for (std::size_t c = 0; c < row.size(); ++c) row[c] = draw(rng, 0, 99) < percent;
  }
  return grid;
}

std::shared_ptr<BlockPattern> pattern_of(const Grid& grid) {
  auto pattern = std::make_shared<BlockPattern>(static_cast<std::int64_t>(grid.size()), static_cast<std::int64_t>(grid[0].size()));
  for (const auto& row : grid) pattern->add_row(runs_of(row));
  return pattern;
}

std::string written(const std::string& name, const std::string& text) {
  static const test::TemporaryFolder folder;
  const auto path = folder.file(name);
  std::ofstream(path, std::ios::binary) << text;
  return path.string();
}

std::string npy(const Grid& grid, std::int64_t heads) {
  std::string header = "{'descr': '|b1', 'fortran_order': False, 'shape': (" + std::to_string(heads) + ", " + std::to_string(grid.size()) +
                       ", " + std::to_string(grid[0].size()) + "), }";
  header.resize(118, ' ');
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(header.size());
  text += '\0';
  text += header;
  for (std::int64_t h = 0; h < heads; ++h) {
    for (const auto& row : grid) {
      for (const bool kept : row) text += kept ? '\1' : '\0';
    }
  }
  return text;
}

void file_refused(const std::string& path, const std::string& what) {
  try {
    (void)load_patterns(path, "/params/file");
    FAIL("accepted");
  } catch (const ConfigError& error) {
    CHECK_THAT(error.what(), Catch::Contains(what) && Catch::Contains(path));
  }
}

}  // namespace

TEST_CASE("a block pattern gives back its rows, as runs or as bits", "[masks]") {
  std::mt19937 rng(41);
  for (const std::int64_t percent : {0, 3, 50, 97, 100}) {
    const Grid grid = random_grid(rng, 20, 1000, percent);
    const auto pattern = pattern_of(grid);
    for (std::size_t r = 0; r < grid.size(); ++r) {
      for (std::size_t c = 0; c < grid[r].size(); c += 7) {
        REQUIRE(pattern->keeps(static_cast<std::int64_t>(r), static_cast<std::int64_t>(c)) == grid[r][c]);
      }
    }
    CHECK(pattern->bytes() <= 20 * (1000 / 8 + 1) + 21 * 8);
  }
}

TEST_CASE("block masks tile and count what looking at each pair says, whatever tiles and blocks", "[masks]") {
  std::mt19937 rng(43);
  for (int i = 0; i < 200; ++i) {
    const std::int64_t block = draw(rng, 1, 40);
    const std::int64_t q_len = draw(rng, 1, 150);
    const std::int64_t kv_len = draw(rng, 1, 150);
    const Grid grid = random_grid(rng, (q_len + block - 1) / block, (kv_len + block - 1) / block, draw(rng, 5, 90));
    const bool causal = draw(rng, 0, 1) == 1;
    const BlockMask mask(pattern_of(grid), BlockEdges(block, q_len), BlockEdges(block, kv_len), causal, q_len, kv_len);
    for (std::int64_t q = 0; q < q_len; ++q) {
      for (std::int64_t k = 0; k < kv_len; ++k) {
        const bool kept = grid[static_cast<std::size_t>(q / block)][static_cast<std::size_t>(k / block)];
        REQUIRE(mask.keeps(q, k) == (kept && (!causal || k <= q + kv_len - q_len)));
      }
    }
    test::check_contract(mask, rng);
  }
}

TEST_CASE("blocks of unequal sizes keep, tile and count the pairs of their definition", "[masks]") {
  std::mt19937 rng(7);
  for (int i = 0; i < 100; ++i) {
    std::vector<std::int64_t> sizes;
    std::vector<std::size_t> block_of;  // by token
    for (std::int64_t b = draw(rng, 1, 9); b > 0; --b) {
      sizes.push_back(draw(rng, 1, 40));
      block_of.insert(block_of.end(), static_cast<std::size_t>(sizes.back()), sizes.size() - 1);
    }
    const auto blocks = static_cast<std::int64_t>(sizes.size());
    const auto tokens = static_cast<std::int64_t>(block_of.size());
    const Grid grid = random_grid(rng, blocks, blocks, draw(rng, 5, 90));
    const bool causal = draw(rng, 0, 1) == 1;
    const BlockMask mask(pattern_of(grid), BlockEdges(sizes), BlockEdges(sizes), causal, tokens, tokens);
    for (std::int64_t q = 0; q < tokens; ++q) {
      for (std::int64_t k = 0; k < tokens; ++k) {
        const bool kept = grid[block_of[static_cast<std::size_t>(q)]][block_of[static_cast<std::size_t>(k)]];
        REQUIRE(mask.keeps(q, k) == (kept && (!causal || k <= q)));
      }
    }
    test::check_contract(mask, rng);
  }
}

TEST_CASE("a pattern reads the same from JSON, NumPy and run lists", "[masks]") {
  const Grid grid{{true, false, true}, {false, true, true}};
  const std::vector<std::string> files{
      written("a.json", R"({"rows": 2, "columns": 3, "heads": [[[[0, 1], [2, 1]], [[1, 2]]], [[[0, 1], [2, 1]], [[1, 2]]]]})"),
      written("a.npy", npy(grid, 2)),
      written("a.txt", "2 3 2  # rows columns heads\n0 0 0 1\n0 0 2 1\n\n0 1 1 2\n1 0 0 1\n1 0 2 1\n1 1 1 2\n")};
  for (const std::string& file : files) {
    INFO(file);
    const auto heads = load_patterns(file, "/params/file");
    REQUIRE(heads.size() == 2);
    for (const auto& head : heads) {
      REQUIRE(head->rows() == 2);
      REQUIRE(head->columns() == 3);
      for (std::int64_t r = 0; r < 2; ++r) {
        for (std::int64_t c = 0; c < 3; ++c) CHECK(head->keeps(r, c) == grid[static_cast<std::size_t>(r)][static_cast<std::size_t>(c)]);
      }
    }
  }
}

TEST_CASE("what is wrong in a pattern file is told with its place", "[masks]") {
  file_refused("/nowhere/at/all.npy", "can't be read");
  file_refused(written("b.json", R"({"rows": 1, "columns": 3, "heads": [[[[2, 2]]]]})"), "/heads/0/0/0: blocks 2 to 3");
  file_refused(written("c.json", R"({"rows": 1, "columns": 3, "heads": [[]]})"), "/heads/0: has 0 block rows");
  file_refused(written("d.json", R"({"rows": 1, "heads": [[]]})"), "/columns");
  file_refused(written("e.txt", "2 3 1\n0 1 0 1\n0 0 0 1\n"), "line 3");
  file_refused(written("f.txt", "2 3 1\n0 1 0 x\n"), "line 2: `x` is no number");
  file_refused(written("g.txt", "2 3 1\n0 1 3 1\n"), "line 2: blocks 3 to 3");
  file_refused(written("h.txt", ""), "is empty");
  file_refused(written("i.npy", "hello"), "is no NumPy file");
  file_refused(written("j.npy", npy({{true, false}}, 2).substr(0, 130)), "the file ends before its last element");
}

TEST_CASE("the patterns of 32 heads over a million tokens take less than 200 MB", "[masks]") {
  // 8192 x 8192 blocks of 128: a window of 64 blocks, every 64th block before it, and 16 more at random: like a head of learned sparsity.
  std::mt19937 rng(47);
  std::int64_t bytes = 0;
  constexpr std::int64_t kBlocks = 8192;
  BlockPattern pattern(kBlocks, kBlocks);
  for (std::int64_t r = 0; r < kBlocks; ++r) {
    std::vector<Range> row;
    for (std::int64_t c = 0; c + 64 < r; c += 64) {
      const std::int64_t more = rng() % 8 == 0 ? draw(rng, 2, 60) : 0;
      row.push_back({c, c + 1});
      if (more > 0 && c + more + 1 < r - 64) row.push_back({c + more, c + more + 1});
    }
    const std::int64_t begin = std::max<std::int64_t>(0, r - 63);
    if (!row.empty() && row.back().end >= begin) row.pop_back();
    row.push_back({begin, r + 1});
    pattern.add_row(row);
  }
  bytes = pattern.bytes();
  CHECK(32 * bytes < 200'000'000);
}

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "validation/bench/row.h"

namespace attnsim::bench {

namespace {

constexpr std::uint64_t kFnvOffset = 14695981039346656037ULL;
constexpr std::uint64_t kFnvPrime = 1099511628211ULL;

// Each file once, in the order of the first mention; false when one is missing.
bool visit(const std::string& file, const std::filesystem::path& root, std::vector<std::string>& seen, std::uint64_t& hash) {
  if (std::find(seen.begin(), seen.end(), file) != seen.end()) return true;
  seen.push_back(file);
  std::ifstream stream(root / file, std::ios::binary);
  if (!stream) return false;
  std::vector<std::string> included;
  for (std::string line; std::getline(stream, line);) {
    for (const char c : line + '\n') hash = (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
    constexpr std::string_view kInclude = "#include \"validation/";
    if (line.rfind(kInclude, 0) != 0) continue;
    const std::size_t begin = line.find('"') + 1;
    included.push_back(line.substr(begin, line.find('"', begin) - begin));
  }
  return std::all_of(included.begin(), included.end(), [&](const std::string& name) { return visit(name, root, seen, hash); });
}

}  // namespace

std::string hash_of_sources(const std::string& source, const std::filesystem::path& root) {
  std::istringstream files(source);
  std::vector<std::string> seen;
  std::uint64_t hash = kFnvOffset;
  for (std::string file; files >> file;) {
    if (!visit(file, root, seen, hash)) return "";
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace attnsim::bench

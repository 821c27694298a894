// SPDX-License-Identifier: Apache-2.0
#include "validation/measured.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "hwmodels/chip_loader.h"
#include "sim/core/data_dir.h"
#include "validation/statistics.h"

namespace attnsim {

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator(); it.increment(error))
    paths.push_back(it->path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::optional<MeasuredDevice> read_device(const fs::path& folder) {
  MeasuredDevice device;
  device.folder = (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  std::map<std::string, std::string> hashes;  // one walk over the sources per kernel
  for (const fs::path& path : sorted_entries(folder)) {
    if (path.extension() != ".jsonl") continue;
    for (bench::Row& row : bench::read_rows(path)) {
      if (row.timing.sample_us.empty()) continue;
      const auto [slot, fresh] = hashes.try_emplace(row.kernel.source);
      if (fresh) slot->second = bench::hash_of_sources(row.kernel.source, data_dir());
      OwnRow own = own_row(std::move(row));
      own.stale = !own.row.kernel.source.empty() && own.row.source_hash != slot->second;  // a library's kernel has no sources here
      device.device = own.row.device.name;
      if (!own.row.device.chip.empty()) device.chip = own.row.device.chip;
      device.rows.push_back(std::move(own));
    }
  }
  if (device.rows.empty()) return std::nullopt;
  if (fs::exists(folder / "overlay.json")) device.overlay = folder / "overlay.json";
  return device;
}

Chip chip_of(const MeasuredDevice& device) {
  return device.overlay ? load_chip(device.chip, read_json_file(*device.overlay)) : load_chip(device.chip);
}

void predict_all(std::vector<OwnRow>& rows, const Chip& chip, int jobs, const std::function<void(std::size_t, std::size_t)>& progress) {
  std::atomic<std::size_t> next{0};
  std::size_t done = 0;
  std::mutex mutex;
  const auto work = [&] {
    for (std::size_t i = next++; i < rows.size(); i = next++) {
      if (!rows[i].stale) predict_row(rows[i], chip);
      const std::scoped_lock lock(mutex);
      ++done;
      if (progress) progress(done, rows.size());
    }
  };
  std::vector<std::jthread> threads;
  for (int i = 1; i < jobs; ++i) threads.emplace_back(work);
  work();
}

std::size_t stale_rows(const MeasuredDevice& device) {
  return static_cast<std::size_t>(std::count_if(device.rows.begin(), device.rows.end(), [](const OwnRow& row) { return row.stale; }));
}

Json mean_json(const std::vector<double>& values) {
  const std::optional<double> value = mean(values);
  return value ? Json(std::stod(fmt::format("{:.1f}", *value))) : Json();
}

Json kernel_json(const std::string& kernel, const std::vector<const OwnRow*>& rows) {
  std::vector<double> all, test, cycles, clocks, speedups;
  std::size_t unmapped = 0;
  for (const OwnRow* row : rows) {
    const double error = row->predicted_us ? absolute_percentage_error(*row->predicted_us, row->measured_us) : 100;
    unmapped += row->predicted_us ? 0 : 1;
    all.push_back(error);
    if (row->split == Split::test) test.push_back(error);
    if (row->predicted_at_clock_us) {
      cycles.push_back(absolute_percentage_error(*row->predicted_at_clock_us, row->measured_us));
      clocks.push_back(absolute_percentage_error(*row->predicted_us, *row->predicted_at_clock_us));
    }
    if (row->speedup && row->predicted_speedup) speedups.push_back(absolute_percentage_error(*row->predicted_speedup, *row->speedup));
  }
  return {{"kernel", kernel},
          {"rows", all.size()},
          {"test_rows", test.size()},
          {"unmapped", unmapped},
          {"error_percent", mean_json(all)},
          {"test_error_percent", mean_json(test)},
          {"cycle_error_percent", mean_json(cycles)},
          {"clock_error_percent", mean_json(clocks)},
          {"speedups", speedups.size()},
          {"speedup_error_percent", mean_json(speedups)}};
}

}  // namespace

fs::path default_own_measurements() {
  return data_dir() / "validation" / "measurements";
}

std::vector<MeasuredDevice> read_measured(const fs::path& folder) {
  std::vector<fs::path> folders{folder};
  for (const fs::path& path : sorted_entries(folder)) {
    if (fs::is_directory(path)) folders.push_back(path);
  }
  std::vector<MeasuredDevice> devices;
  for (const fs::path& path : folders) {
    if (std::optional<MeasuredDevice> device = read_device(path)) devices.push_back(std::move(*device));
  }
  return devices;
}

MeasuredValidation validate_measured(const fs::path& folder, int jobs, const std::function<void(std::size_t, std::size_t)>& progress) {
  MeasuredValidation validation{folder, read_measured(folder)};
  for (MeasuredDevice& device : validation.devices) {
    if (device.chip.empty()) {
      for (OwnRow& row : device.rows) row.unmapped = "no chip of attnsim stands for this device";
    } else {
      predict_all(device.rows, chip_of(device), jobs, progress);
    }
    add_speedups(device.rows);
  }
  return validation;
}

std::string measured_text(const MeasuredValidation& validation) {
  if (validation.devices.empty())
    return fmt::format("no measurements of our own: {} holds no rows of attnsim-bench yet\n", validation.folder.string());
  std::string text;
  for (const MeasuredDevice& device : validation.devices) {
    text +=
        fmt::format("{}{}: {} (chip {}), {} rows", text.empty() ? "" : "\n", device.folder, device.device, device.chip, device.rows.size());
    if (const std::size_t stale = stale_rows(device); stale > 0)
      text += fmt::format(", {} stale (the kernel's source has changed since) and left out", stale);
    text += "\n" + own_rows_text(device.rows);
  }
  return text;
}

std::string measured_json(const MeasuredValidation& validation) {
  const auto optional = [](const std::optional<double>& value) { return value ? Json(*value) : Json(); };
  Json devices = Json::array();
  for (const MeasuredDevice& device : validation.devices) {
    Json rows = Json::array();
    for (const OwnRow& row : device.rows) {
      Json counters = Json::object();
      for (const CounterPair& c : row.counters) counters[c.name] = {{"measured", c.measured}, {"predicted", optional(c.predicted)}};
      rows.push_back({{"kernel", row.row.kernel.name},
                      {"shape", bench::label(row.row.shape)},
                      {"split", row.split == Split::test ? "test" : "calibration"},
                      {"measured_us", row.measured_us},
                      {"half_width_us", row.half_width_us},
                      {"clock_mhz", row.row.timing.clock_mhz},
                      {"predicted_us", optional(row.predicted_us)},
                      {"predicted_at_clock_us", optional(row.predicted_at_clock_us)},
                      {"speedup", optional(row.speedup)},
                      {"predicted_speedup", optional(row.predicted_speedup)},
                      {"stale", row.stale},
                      {"counters", counters},
                      {"unmapped", row.unmapped}});
    }
    devices.push_back({{"folder", device.folder}, {"device", device.device}, {"chip", device.chip}, {"rows", rows}});
  }
  return Json{{"devices", devices}}.dump(1) + "\n";
}

std::string measured_accuracy(const MeasuredValidation& validation, const std::string& version) {
  Json devices = Json::array();
  for (const MeasuredDevice& device : validation.devices) {
    std::map<std::string, std::vector<const OwnRow*>> kernels;
    for (const OwnRow& row : device.rows)
      if (!row.stale) kernels[row.row.kernel.name].push_back(&row);
    Json groups = Json::array();
    for (const auto& [kernel, rows] : kernels) groups.push_back(kernel_json(kernel, rows));
    devices.push_back({{"folder", device.folder},
                       {"device", device.device},
                       {"chip", device.chip},
                       {"stale_rows", stale_rows(device)},
                       {"kernels", groups}});
  }
  return Json{{"version", version}, {"devices", devices}}.dump(1) + "\n";
}

}  // namespace attnsim

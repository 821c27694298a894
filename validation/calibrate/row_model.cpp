// SPDX-License-Identifier: Apache-2.0
#include "validation/calibrate/row_model.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace attnsim {

namespace {

Json* member_at(Json& root, const std::string& path) {
  Json* value = &root;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('.', start), path.size());
    value = &(*value)[path.substr(start, end - start)];
    start = end + 1;
  }
  return value;
}

}  // namespace

void set_figure(JsonDocument& chip, const std::string& path, double value, const std::string& status, const std::string& source) {
  *member_at(chip.root, path) = {{"value", value}, {"status", status}, {"source", source}};
}

std::vector<double> RowModel::predict(std::span<const ModelRow> rows, std::span<const double> values) {
  require(values.size() == parameters_.size(), "one value per parameter");
  JsonDocument document = chip_;
  for (std::size_t p = 0; p < parameters_.size(); ++p)
    if (!parameters_[p]->of_harness) set_figure(document, std::string(parameters_[p]->name), values[p], "estimated", "under calibration");
  const auto chip = std::make_shared<const Chip>(parse_chip(document));

  std::map<std::string, std::size_t> job_of_key;
  std::vector<std::size_t> first_row, job_of_row;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto [slot, fresh] = job_of_key.try_emplace(rows[i].mapped.key(), first_row.size());
    if (fresh) first_row.push_back(i);
    job_of_row.push_back(slot->second);
  }

  std::vector<double> times(first_row.size(), 0);
  std::vector<std::exception_ptr> failures(first_row.size());
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  const auto work = [&] {
    for (std::size_t j = next++; j < first_row.size(); j = next++) {
      try {
        const ModelRow& row = rows[first_row[j]];
        MappedRow mapped = row.mapped;
        mapped.chip = chip;
        for (std::size_t p = 0; p < parameters_.size(); ++p)
          if (parameters_[p]->of_harness) set_value(*parameters_[p], values[p], row.row.phase, mapped.conditions);
        for (const Request& pass : mapped.requests(row.row, options_.engine)) times[j] += options_.predict_us(pass, mapped.timed);
      } catch (...) {
        failures[j] = std::current_exception();
      }
      const std::scoped_lock lock(mutex);
      ++predictions_;
      if (options_.progress) options_.progress(predictions_, 0);
    }
  };
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t wanted = options_.jobs > 0 ? static_cast<std::size_t>(options_.jobs) : cores;
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < std::min(wanted, times.size()); ++i) threads.emplace_back(work);
    work();
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);

  std::vector<double> by_row;
  for (const std::size_t job : job_of_row) by_row.push_back(times[job]);
  return by_row;
}

}  // namespace attnsim

// SPDX-License-Identifier: Apache-2.0
#include "validation/evaluate.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "sim/core/json_reader.h"

namespace attnsim {

namespace {

std::optional<RooflinePoint> roofline_of(const MeasuredRow& row, const Chip& chip) {
  const std::optional<ir::DType> dtype = dtype_of(row.dtype);
  if (!dtype || row.flops <= 0 || row.bytes <= 0) return std::nullopt;
  const double peak_tflops =
      chip.peak_tflops(chip.tensor_rate(std::string(ir::name_of(*dtype)), std::string(ir::name_of(accumulator_of(row.dtype)))));
  if (peak_tflops <= 0 || chip.hbm.bandwidth_gb_per_s <= 0) return std::nullopt;
  return RooflinePoint{row.flops / (peak_tflops * 1e6), row.bytes / (chip.hbm.bandwidth_gb_per_s * 1e3), row.measured_us};
}

RowOutcome start_outcome(MeasuredRow row, const MappedRow& mapped) {
  RowOutcome outcome;
  if (mapped.chip) {
    outcome.chip = mapped.chip->name;
    outcome.roofline = roofline_of(row, *mapped.chip);
  }
  outcome.schedule = mapped.schedules();
  outcome.harness = mapped.harness;
  outcome.unmapped = mapped.unmapped;
  outcome.row = std::move(row);
  return outcome;
}

// One prediction for all rows with the same key.
struct Job {
  std::size_t row = 0;  // the first that asks for it
  MappedRow mapped;
  std::optional<double> predicted_us;
  std::string failure;
  bool counted = false;          // some row of this key has counters
  std::optional<Result> result;  // then
};

void run_job(Job& job, const MeasuredRow& row, const EvaluateOptions& options) {
  try {
    const std::vector<Request> passes = job.mapped.requests(row, options.engine);
    double sum = 0;
    for (const Request& pass : passes) sum += options.predict_us(pass, job.mapped.timed);
    job.predicted_us = sum;
    if (job.counted && passes.size() == 1) job.result = predict(passes.front());
  } catch (const ConfigError& error) {
    job.failure = "not legal: " + (error.issues().empty() ? std::string(error.what()) : error.issues().front().problem);
  } catch (const SimError& error) {
    job.failure = std::string("simulation failed: ") + error.what();
  } catch (const Invariant& error) {
    job.failure = std::string("internal fault: ") + error.what();
  }
}

// Any other exception stops everything: it is rethrown after all threads have ended.
void run_jobs(std::vector<Job>& jobs, const std::vector<RowOutcome>& outcomes, const EvaluateOptions& options) {
  std::atomic<std::size_t> next{0};
  std::size_t done = 0;
  std::mutex mutex;
  std::exception_ptr fault;
  const auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++) {
      try {
        run_job(jobs[i], outcomes[jobs[i].row].row, options);
      } catch (...) {
        const std::scoped_lock lock(mutex);
        if (!fault) fault = std::current_exception();
        next = jobs.size();
      }
      const std::scoped_lock lock(mutex);
      ++done;
      if (options.progress) options.progress(done, jobs.size());
    }
  };
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t wanted = options.jobs > 0 ? static_cast<std::size_t>(options.jobs) : cores;
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < std::min(wanted, jobs.size()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (fault) std::rethrow_exception(fault);
}

}  // namespace

std::vector<RowOutcome> evaluate(std::vector<MeasuredRow> rows, const KernelMaps& maps, Catalog& catalog, const EvaluateOptions& options) {
  std::vector<RowOutcome> outcomes;
  std::vector<Job> jobs;
  std::map<std::string, std::size_t> job_of_key;
  constexpr auto kNoJob = static_cast<std::size_t>(-1);
  std::vector<std::size_t> job_of_row;
  for (MeasuredRow& row : rows) {
    MappedRow mapped = map_row(row, maps, catalog);
    outcomes.push_back(start_outcome(std::move(row), mapped));
    job_of_row.push_back(kNoJob);
    if (!mapped.unmapped.empty()) continue;
    const auto [slot, fresh] = job_of_key.try_emplace(mapped.key(), jobs.size());
    if (fresh) jobs.push_back({outcomes.size() - 1, std::move(mapped), std::nullopt, "", false, std::nullopt});
    job_of_row.back() = slot->second;
    jobs[slot->second].counted |= !outcomes.back().row.counters.empty();
  }
  run_jobs(jobs, outcomes, options);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (job_of_row[i] == kNoJob) continue;
    const Job& job = jobs[job_of_row[i]];
    outcomes[i].predicted_us = job.predicted_us;
    outcomes[i].unmapped = job.failure;
    for (const auto& [name, value] : outcomes[i].row.counters)
      outcomes[i].counters.push_back({name, value, job.result ? predicted_counter(*job.result, name) : std::nullopt});
  }
  return outcomes;
}

std::vector<RowOutcome> without_prediction(std::vector<MeasuredRow> rows, const KernelMaps& maps, Catalog& catalog) {
  std::vector<RowOutcome> outcomes;
  for (MeasuredRow& row : rows) {
    MappedRow mapped;
    mapped.chip = chip_of(row, maps, catalog);
    outcomes.push_back(start_outcome(std::move(row), mapped));
  }
  return outcomes;
}

}  // namespace attnsim

// SPDX-License-Identifier: Apache-2.0
#include "validation/host/system.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>

namespace attnsim::host {

namespace {

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown CPU";
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// "512K", "32M"
std::int64_t size_of(const std::string& text) {
  if (text.empty()) return 0;
  const std::int64_t number = std::strtoll(text.c_str(), nullptr, 10);
  const char unit = text.back();
  return unit == 'K' ? number << 10 : unit == 'M' ? number << 20 : unit == 'G' ? number << 30 : number;
}

void read_caches(System& system) {
  int deepest = 2;
  for (int index = 0; index < 8; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    const int level = static_cast<int>(size_of(first_line(folder + "level")));
    const std::int64_t bytes = size_of(first_line(folder + "size"));
    if (level < 2 || bytes == 0 || first_line(folder + "type") == "Instruction") continue;
    if (level == 2) system.l2_bytes = bytes;
    if (level > deepest) {
      system.llc_bytes = bytes;
      deepest = level;
    }
  }
}

}  // namespace

System read_system() {
  System system;
  system.cpu = cpu_name();
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  system.cores =
      sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : static_cast<int>(std::thread::hardware_concurrency());
  if (system.cores < 1) system.cores = 1;
  read_caches(system);
  system.memory_bytes = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  return system;
}

std::int64_t preemptions() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

}  // namespace attnsim::host

// SPDX-License-Identifier: Apache-2.0
#include "validation/cuda/emulate/emulate.h"

#include <ucontext.h>

#include <algorithm>
#include <csetjmp>
#include <deque>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

namespace attnsim::emulate {

namespace {

constexpr std::size_t kStackBytes = 512 * 1024;
constexpr std::uint32_t kSharedBase = 1024;  // shared address 0 is never valid

struct Group {  // lanes that execute one instruction together
  std::vector<void*> slots;
  std::size_t arrived = 0;
  std::uint64_t generation = 0;
};

struct Jobs {  // groups of asynchronous work, oldest first; the last one is open
  std::deque<std::vector<std::function<void()>>> groups{1};
  void wait(int left) {
    while (static_cast<int>(groups.size()) - 1 > left) {
      for (auto& job : groups.front()) job();
      groups.pop_front();
    }
  }
};

// Switches by jumps: unlike swapcontext they make no system call. The context only starts a fiber on its own stack.
struct Fiber {
  ucontext_t context{};
  jmp_buf place{};
  bool started = false;
  std::unique_ptr<char[]> stack;
  Dim3 thread;
  unsigned linear = 0;
  bool done = false;
  std::function<bool()> ready;  // empty: runnable
  Jobs copies;
};

struct NamedBarrier {
  int arrived = 0;
  std::uint64_t generation = 0;
};

struct MemoryBarrier {
  int count = 0;
  int pending = 0;
  std::int64_t bytes = 0;
  unsigned phase = 0;
};

struct EngineCopy {
  std::function<void()> job;
  std::uint32_t barrier;
  std::int64_t bytes;
};

struct Machine {
  Options options;
  Counts counts;
  Dim3 grid, block, block_id;
  std::vector<std::uint8_t> shared;
  std::uint8_t* shared_base = nullptr;
  std::size_t shared_bytes = 0;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::size_t live = 0;  // fibers of this CTA
  std::vector<Group> warps, warpgroups;
  std::vector<Jobs> wgmma;
  NamedBarrier barriers[16];
  std::map<std::uint32_t, MemoryBarrier> mbarriers;
  std::vector<EngineCopy> engine;
  Fiber* current = nullptr;
  jmp_buf scheduler{};
  const std::function<void()>* body = nullptr;
  std::string error;
  std::uint64_t random = 1;

  std::uint64_t draw() {  // xorshift64*
    random ^= random >> 12;
    random ^= random << 25;
    random ^= random >> 27;
    return random * 2685821657736338717ULL;
  }
};

Machine& machine() {
  static Machine m;
  return m;
}

void fiber_main() {
  Machine& m = machine();
  try {
    (*m.body)();
  } catch (const std::exception& error) {
    m.error = error.what();
  }
  m.current->done = true;
  _longjmp(m.scheduler, 1);
}

void yield() {
  if (_setjmp(machine().current->place) == 0) _longjmp(machine().scheduler, 1);
}

void resume(Machine& m, Fiber& f) {
  if (_setjmp(m.scheduler) != 0) return;
  if (f.started) _longjmp(f.place, 1);
  f.started = true;
  setcontext(&f.context);
}

void start_fiber(Machine& m, unsigned linear) {
  if (m.fibers.size() <= linear) m.fibers.push_back(std::make_unique<Fiber>());
  Fiber& f = *m.fibers[linear];
  if (!f.stack) f.stack = std::make_unique<char[]>(kStackBytes);
  f.linear = linear;
  f.thread = Dim3(linear % m.block.x, linear / m.block.x % m.block.y, linear / (m.block.x * m.block.y));
  f.done = f.started = false;
  f.ready = nullptr;
  f.copies = Jobs{};
  getcontext(&f.context);
  f.context.uc_stack.ss_sp = f.stack.get();
  f.context.uc_stack.ss_size = kStackBytes;
  f.context.uc_link = nullptr;
  makecontext(&f.context, fiber_main, 0);
}

bool step(Machine& m, Fiber& f) {
  if (f.done) return false;
  if (f.ready) {
    if (!f.ready()) return false;
    f.ready = nullptr;
  }
  m.current = &f;
  resume(m, f);
  m.current = nullptr;
  if (!m.error.empty()) throw std::runtime_error(m.error);
  if (f.done) --m.live;
  return true;
}

void deliver(Machine& m, std::size_t which) {
  EngineCopy copy = std::move(m.engine[which]);
  m.engine.erase(m.engine.begin() + static_cast<std::ptrdiff_t>(which));
  copy.job();
  mbarrier_complete(copy.barrier, copy.bytes);
}

void run_block(Machine& m) {
  const unsigned threads = m.block.x * m.block.y * m.block.z;
  m.live = threads;
  m.warps.assign((threads + 31) / 32, Group{std::vector<void*>(32), 0, 0});
  m.warpgroups.assign((threads + 127) / 128, Group{std::vector<void*>(128), 0, 0});
  m.wgmma.assign((threads + 127) / 128, Jobs{});
  for (NamedBarrier& b : m.barriers) b = NamedBarrier{};
  m.mbarriers.clear();
  m.engine.clear();
  m.shared.assign(m.shared_bytes + 2048, 0xff);  // NaN in every float format
  m.shared_base = m.shared.data() + (1024 - reinterpret_cast<std::uintptr_t>(m.shared.data()) % 1024) % 1024;
  for (unsigned t = 0; t < threads; ++t) start_fiber(m, t);
  const std::size_t warps = m.warps.size();
  while (m.live > 0) {
    bool progress = false;
    const std::size_t first = m.draw() % warps;
    for (std::size_t w = 0; w < warps && m.live > 0; ++w) {
      const std::size_t warp = (first + w) % warps;
      // A warp runs a stretch of random length, so that warps drift apart.
      for (std::uint64_t left = 1 + m.draw() % 48; left > 0; --left) {
        bool moved = false;
        for (unsigned t = static_cast<unsigned>(warp * 32); t < std::min<unsigned>(threads, static_cast<unsigned>(warp * 32 + 32)); ++t) {
          moved = step(m, *m.fibers[t]) || moved;
        }
        progress = progress || moved;
        if (!moved) break;
      }
    }
    if (!m.engine.empty() && (!progress || !m.options.late || m.draw() % 8 == 0)) {
      deliver(m, m.draw() % m.engine.size());
      progress = true;
    }
    if (!progress) throw std::runtime_error("deadlock: every thread waits");
  }
}

}  // namespace

void run(Dim3 grid, Dim3 block, std::size_t shared_bytes, const std::function<void()>& body) {
  Machine& m = machine();
  m.grid = grid;
  m.block = block;
  m.shared_bytes = shared_bytes;
  m.body = &body;
  m.error.clear();
  m.random = m.options.seed * 2654435769ULL + 1;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        m.block_id = Dim3(x, y, z);
        run_block(m);
      }
    }
  }
}

void set_options(const Options& options) {
  machine().options = options;
}

Counts& counts() {
  return machine().counts;
}

Counts take_counts() {
  const Counts taken = machine().counts;
  machine().counts = Counts{};
  return taken;
}

Dim3 thread_index() {
  return machine().current->thread;
}
Dim3 block_index() {
  return machine().block_id;
}
Dim3 block_size() {
  return machine().block;
}
Dim3 grid_size() {
  return machine().grid;
}
unsigned lane() {
  return machine().current->linear % 32;
}
std::uint8_t* shared_memory() {
  return machine().shared_base;
}

std::uint32_t shared_address(const void* pointer) {
  const Machine& m = machine();
  return kSharedBase + static_cast<std::uint32_t>(static_cast<const std::uint8_t*>(pointer) - m.shared_base);
}

std::uint8_t* shared_pointer(std::uint32_t address, std::size_t bytes) {
  Machine& m = machine();
  if (address < kSharedBase || address - kSharedBase + bytes > m.shared_bytes) {
    throw std::runtime_error("shared address " + std::to_string(address) + " lies outside the CTA's memory");
  }
  return m.shared_base + (address - kSharedBase);
}

void fail(const char* why) {
  throw std::runtime_error(why);
}

void block_until(const std::function<bool()>& ready) {
  while (!ready()) {
    machine().current->ready = ready;
    yield();
  }
}

namespace {

void together(Group& group, std::size_t position, void* mine, const std::function<void(void* const*)>& execute) {
  group.slots[position] = mine;
  if (++group.arrived == group.slots.size()) {
    execute(group.slots.data());
    group.arrived = 0;
    ++group.generation;
    return;
  }
  const std::uint64_t generation = group.generation;
  block_until([&group, generation] { return group.generation != generation; });
}

}  // namespace

void warp_together(void* mine, const std::function<void(void* const*)>& execute) {
  const unsigned linear = machine().current->linear;
  together(machine().warps[linear / 32], linear % 32, mine, execute);
}

void warpgroup_together(void* mine, const std::function<void(void* const*)>& execute) {
  const unsigned linear = machine().current->linear;
  together(machine().warpgroups[linear / 128], linear % 128, mine, execute);
}

void barrier(int id, int threads, bool wait) {
  NamedBarrier& b = machine().barriers[id];
  const std::uint64_t generation = b.generation;
  if (++b.arrived == threads) {
    b.arrived = 0;
    ++b.generation;
    return;
  }
  if (wait) block_until([&b, generation] { return b.generation != generation; });
}

void copy_async(std::function<void()> job) {
  machine().current->copies.groups.back().push_back(std::move(job));
  if (!machine().options.late) {
    machine().current->copies.groups.back().back()();
    machine().current->copies.groups.back().back() = [] {};
  }
}
void copy_commit() {
  machine().current->copies.groups.emplace_back();
}
void copy_wait(int groups_left) {
  machine().current->copies.wait(groups_left);
}

void wgmma_issue(std::function<void()> job) {
  Machine& m = machine();
  if (m.options.late) {
    m.wgmma[m.current->linear / 128].groups.back().push_back(std::move(job));
  } else {
    job();
  }
}
void wgmma_commit() {
  machine().wgmma[machine().current->linear / 128].groups.emplace_back();
}
void wgmma_wait(int groups_left) {
  machine().wgmma[machine().current->linear / 128].wait(groups_left);
}

namespace {

void pass_if_complete(MemoryBarrier& b) {
  if (b.pending == 0 && b.bytes == 0) {
    b.phase ^= 1U;
    b.pending = b.count;
  }
}

MemoryBarrier& memory_barrier(std::uint32_t address) {
  const auto it = machine().mbarriers.find(address);
  if (it == machine().mbarriers.end()) throw std::runtime_error("mbarrier used before its initialisation");
  return it->second;
}

}  // namespace

void mbarrier_init(std::uint32_t address, int count) {
  machine().mbarriers[address] = MemoryBarrier{count, count, 0, 0};
}
void mbarrier_arrive(std::uint32_t address, std::int64_t expect_bytes) {
  MemoryBarrier& b = memory_barrier(address);
  b.bytes += expect_bytes;
  if (--b.pending < 0) throw std::runtime_error("more arrivals at an mbarrier than its count");
  pass_if_complete(b);
}
void mbarrier_complete(std::uint32_t address, std::int64_t bytes) {
  MemoryBarrier& b = memory_barrier(address);
  b.bytes -= bytes;
  pass_if_complete(b);
}
bool mbarrier_passed(std::uint32_t address, unsigned parity) {
  return memory_barrier(address).phase != parity;
}

void engine_copy(std::function<void()> job, std::uint32_t barrier, std::int64_t bytes) {
  counts().tma_bytes += bytes;
  machine().engine.push_back({std::move(job), barrier, bytes});
}

}  // namespace attnsim::emulate

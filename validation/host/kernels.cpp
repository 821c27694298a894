// SPDX-License-Identifier: Apache-2.0
#include "validation/host/kernels.h"

#include <array>
#include <cstring>

namespace attnsim::host {

extern const Kernels kPortable;
#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
#endif

namespace {

bool always() {
  return true;
}
#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
}
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0;
}
#endif

struct Choice {
  const Kernels* kernels;
  bool (*supported)();
};
// Widest first.
constexpr std::array kChoices {
#if defined(__x86_64__)
  Choice{&kAvx512, has_avx512}, Choice{&kAvx2, has_avx2},
#endif
      Choice {
    &kPortable, always
  }
};

}  // namespace

const Kernels* kernels_named(const char* isa) {
  for (const Choice& choice : kChoices) {
    if (std::strcmp(choice.kernels->isa, isa) == 0) return choice.supported() ? choice.kernels : nullptr;
  }
  return nullptr;
}

const Kernels& best_kernels() {
  for (const Choice& choice : kChoices) {
    if (choice.supported()) return *choice.kernels;
  }
  return kPortable;
}

}  // namespace attnsim::host

// SPDX-License-Identifier: Apache-2.0
// The two 16-bit element types, as bits, and their conversions (round to nearest even).
#pragma once

#include "validation/cuda/platform.cuh"

namespace attnsim::cuda {

constexpr float kLn2 = 0.6931471805599453F;

struct F16 {
  std::uint16_t bits;
};
struct Bf16 {
  std::uint16_t bits;
};

template <class A, class B>
inline constexpr bool kSame = false;
template <class A>
inline constexpr bool kSame<A, A> = true;

ATTNSIM_HD float to_float(Bf16 e) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(static_cast<std::uint32_t>(e.bits) << 16);
#else
  const std::uint32_t bits = static_cast<std::uint32_t>(e.bits) << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

ATTNSIM_HD float to_float(F16 e) {
#ifdef __CUDA_ARCH__
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(e.bits));
  return value;
#else
  const int exponent = e.bits >> 10 & 31;
  const int mantissa = e.bits & 1023;
  float value = 0;
  if (exponent == 31) {
    value = mantissa != 0 ? NAN : INFINITY;
  } else if (exponent == 0) {
    value = ldexpf(static_cast<float>(mantissa), -24);
  } else {
    value = ldexpf(static_cast<float>(mantissa + 1024), exponent - 25);
  }
  return (e.bits & 0x8000) != 0 ? -value : value;
#endif
}

template <class E>
ATTNSIM_HD E from_float(float value);

template <>
ATTNSIM_HD Bf16 from_float<Bf16>(float value) {
#ifdef __CUDA_ARCH__
  std::uint16_t bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return {bits};
#else
  std::uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (value != value) return {0x7fff};
  bits += 0x7fffU + (bits >> 16 & 1U);
  return {static_cast<std::uint16_t>(bits >> 16)};
#endif
}

template <>
ATTNSIM_HD F16 from_float<F16>(float value) {
#ifdef __CUDA_ARCH__
  std::uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return {bits};
#else
  if (value != value) return {0x7fff};
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float magnitude = fabsf(value);
  if (magnitude == 0) return {sign};
  if (magnitude >= 65520.0F) return {static_cast<std::uint16_t>(sign | 0x7c00)};
  int exponent = 0;
  frexpf(magnitude, &exponent);
  const int step = (exponent > -13 ? exponent : -13) - 11;  // of the last mantissa bit; -24 for subnormals
  const int units = static_cast<int>(nearbyintf(ldexpf(magnitude, -step)));
  // Normals: units in [1024, 2048]; a carry to 2048 runs into the exponent as it should.
  const int biased = step + 24;
  return {static_cast<std::uint16_t>(sign | (biased * 1024 + units))};
#endif
}

// Two elements in one register, `low` first in memory.
template <class E>
ATTNSIM_D std::uint32_t pack(float low, float high) {
#ifdef __CUDACC__
  std::uint32_t bits;
  if constexpr (kSame<E, Bf16>) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  }
  return bits;
#else
  return static_cast<std::uint32_t>(from_float<E>(low).bits) | static_cast<std::uint32_t>(from_float<E>(high).bits) << 16;
#endif
}

// 2^x on the special-function unit.
ATTNSIM_D float exp2_approx(float x) {
#ifdef __CUDACC__
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  ++emulate::counts().exp2;
  return std::exp2(x);
#endif
}

ATTNSIM_D float log2_approx(float x) {
#ifdef __CUDACC__
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return std::log2(x);
#endif
}

}  // namespace attnsim::cuda

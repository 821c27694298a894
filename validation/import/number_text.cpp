// SPDX-License-Identifier: Apache-2.0
#include "validation/import/number_text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

namespace attnsim {

namespace {

std::string without(std::string text, char separator) {
  std::erase(text, separator);
  return text;
}

// Every group after a separator has three digits.
bool are_thousands(const std::string& text, char separator) {
  for (std::size_t at = text.find(separator); at != std::string::npos; at = text.find(separator, at + 1)) {
    const std::size_t next = std::min(text.find(separator, at + 1), text.size());
    if (next - at != 4) return false;
  }
  return true;
}

std::string with_point(std::string text) {
  const std::size_t comma = text.rfind(','), point = text.rfind('.');
  if (comma == std::string::npos && point == std::string::npos) return text;
  if (comma != std::string::npos && point != std::string::npos) {
    text = without(text, comma < point ? ',' : '.');
    std::replace(text.begin(), text.end(), ',', '.');
    return text;
  }
  if (comma != std::string::npos) {
    if (are_thousands(text, ',')) return without(text, ',');
    std::replace(text.begin(), text.end(), ',', '.');
    return text;
  }
  const bool many = std::count(text.begin(), text.end(), '.') > 1;
  return many && are_thousands(text, '.') ? without(text, '.') : text;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::optional<double> number_of(const std::string& text) {
  const std::string plain = with_point(trimmed(text));
  double value = 0;
  const auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (error != std::errc() || end != plain.data() + plain.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

double prefix_of(const std::string& unit) {
  const std::string u = trimmed(unit);
  if (u.size() < 2 || !std::islower(static_cast<unsigned char>(u[1]))) return 1;
  switch (u[0]) {
    case 'K': return 1e3;
    case 'M': return 1e6;
    case 'G': return 1e9;
    case 'T': return 1e12;
    default: return 1;
  }
}

std::optional<double> microseconds_of(const std::string& unit) {
  const std::string u = lower(trimmed(unit));
  if (u == "ns" || u == "nsecond" || u == "nanosecond") return 1e-3;
  if (u == "us" || u == "usecond" || u == "microsecond" || u == "\xC2\xB5s" || u == "\xCE\xBCs") return 1.0;
  if (u == "ms" || u == "msecond" || u == "millisecond") return 1e3;
  if (u == "s" || u == "second") return 1e6;
  return std::nullopt;
}

std::optional<double> megahertz_of(const std::string& unit) {
  const std::string u = lower(trimmed(unit));
  if (u == "hz" || u == "cycle/second" || u == "cycle/s" || u == "1/s") return 1e-6;
  if (u == "khz" || u == "cycle/msecond") return 1e-3;
  if (u == "mhz" || u == "cycle/usecond" || u == "cycle/us") return 1.0;
  if (u == "ghz" || u == "cycle/nsecond" || u == "cycle/ns") return 1e3;
  return std::nullopt;
}

std::optional<double> duration_us(const std::string& text) {
  const std::string plain = trimmed(text);
  const std::size_t end = plain.find_first_not_of("0123456789.,");
  if (end == 0 || end == std::string::npos) return std::nullopt;
  const std::optional<double> value = number_of(plain.substr(0, end));
  const std::optional<double> scale = microseconds_of(plain.substr(end));
  if (!value || !scale) return std::nullopt;
  return *value * *scale;
}

std::array<std::int64_t, 3> triple_of(const std::string& text) {
  std::array<std::int64_t, 3> triple{};
  std::size_t at = 0;
  for (std::int64_t& value : triple) {
    at = text.find_first_of("0123456789", at);
    if (at == std::string::npos) return {};
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
    if (error != std::errc()) return {};
    at = static_cast<std::size_t>(end - text.data());
  }
  return triple;
}

}  // namespace attnsim

#include "base/time.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/advice.h"

namespace trainyard {
namespace {

struct Unit {
  std::string_view suffix;
  std::int64_t micros;
};
constexpr std::array<Unit, 6> kUnits{
    {{"d", 86'400'000'000}, {"h", 3'600'000'000}, {"m", 60'000'000}, {"s", 1'000'000}, {"ms", 1'000}, {"us", 1}}};

/// About 285 years in microseconds: every whole number up to it is exact as a double.
constexpr double kDurationMax = 9e15;

Error malformed_duration(std::string_view text) {
  return invalid_argument("spec.duration",
                          fmt::format("a duration is a number with a unit like \"90s\", \"250ms\" or \"1h30m\", not \"{}\"{}", text,
                                      write_instead(meant_duration(text))));
}

Error malformed_time(std::string_view text) {
  return invalid_argument("time.malformed", fmt::format("a time is written like 2026-01-02T03:04:05Z (RFC 3339), not \"{}\"", text));
}

bool read_digits(std::string_view text, std::size_t at, std::size_t count, int& out) {
  if (at + count > text.size()) return false;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + count, out);
  return error == std::errc() && end == text.data() + at + count && text[at] != '-';
}

}  // namespace

TimePoint SystemClock::now() const { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

MonotonicPoint SystemClock::monotonic_now() const { return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()); }

std::string to_rfc3339(TimePoint time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

Result<TimePoint> parse_rfc3339(std::string_view text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  const bool head = read_digits(text, 0, 4, year) && read_digits(text, 5, 2, month) && read_digits(text, 8, 2, day) &&
                    read_digits(text, 11, 2, hour) && read_digits(text, 14, 2, minute) && read_digits(text, 17, 2, second) &&
                    text[4] == '-' && text[7] == '-' && (text[10] == 'T' || text[10] == 't' || text[10] == ' ') && text[13] == ':' &&
                    text[16] == ':';
  if (!head) return malformed_time(text);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return malformed_time(text);

  std::size_t at = 19;
  std::int64_t fraction = 0;
  if (at < text.size() && text[at] == '.') {
    std::int64_t scale = 100'000;
    if (at + 1 == text.size() || text[at + 1] < '0' || text[at + 1] > '9') return malformed_time(text);
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) fraction += scale * (text[at] - '0');
  }
  std::int64_t offset_minutes = 0;
  const std::string_view zone = text.substr(std::min(at, text.size()));
  if (zone != "Z" && zone != "z") {
    int zone_hour = 0, zone_minute = 0;
    const bool numeric = zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':' && read_digits(zone, 1, 2, zone_hour) &&
                         read_digits(zone, 4, 2, zone_minute) && zone_hour <= 23 && zone_minute <= 59;
    if (!numeric) return malformed_time(text);
    offset_minutes = (zone[0] == '-' ? -1 : 1) * (zone_hour * 60 + zone_minute);
  }
  const TimePoint midnight = std::chrono::sys_days(date);
  return midnight + std::chrono::hours(hour) + std::chrono::minutes(minute - offset_minutes) + std::chrono::seconds(second) +
         Duration(fraction);
}

Result<Duration> parse_duration(std::string_view text) {
  std::int64_t total = 0;
  std::string_view rest = text;
  if (rest.empty()) return malformed_duration(text);
  while (!rest.empty()) {
    // from_chars would also take a sign, "inf" and "nan".
    if (rest.front() < '0' || rest.front() > '9') return malformed_duration(text);
    double number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc()) return malformed_duration(text);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const std::size_t suffix_length = std::min(rest.find_first_of("0123456789."), rest.size());
    const std::string_view suffix = rest.substr(0, suffix_length);
    const auto unit = std::find_if(kUnits.begin(), kUnits.end(), [suffix](const Unit& u) { return u.suffix == suffix; });
    if (unit == kUnits.end() || number * static_cast<double>(unit->micros) > kDurationMax) return malformed_duration(text);
    total += static_cast<std::int64_t>(number * static_cast<double>(unit->micros) + 0.5);
    if (static_cast<double>(total) > kDurationMax) return malformed_duration(text);
    rest.remove_prefix(suffix_length);
  }
  return Duration(total);
}

std::string format_duration(Duration duration) {
  std::int64_t rest = duration.count();
  if (rest == 0) return "0s";
  std::string text;
  for (const Unit& unit : kUnits) {
    if (rest >= unit.micros) {
      text += fmt::format("{}{}", rest / unit.micros, unit.suffix);
      rest %= unit.micros;
    }
  }
  return text;
}

}  // namespace trainyard

#include "base/time.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/rng.h"

namespace trainyard {
namespace {

using namespace std::chrono_literals;

TEST(Rfc3339, time_is_written_with_microseconds_and_z) {
  EXPECT_EQ(to_rfc3339(time_from_micros(0)), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(to_rfc3339(time_from_micros(1'767'323'045'000'006)), "2026-01-02T03:04:05.000006Z");
  EXPECT_EQ(to_rfc3339(time_from_micros(-1)), "1969-12-31T23:59:59.999999Z");
}

TEST(Rfc3339, fractions_of_any_length_are_read_to_the_microsecond) {
  const std::int64_t base = 1'767'323'045'000'000;
  EXPECT_EQ(micros(parse_rfc3339("2026-01-02T03:04:05Z").value()), base);
  EXPECT_EQ(micros(parse_rfc3339("2026-01-02T03:04:05.5Z").value()), base + 500'000);
  EXPECT_EQ(micros(parse_rfc3339("2026-01-02T03:04:05.000006Z").value()), base + 6);
  EXPECT_EQ(micros(parse_rfc3339("2026-01-02T03:04:05.000006999Z").value()), base + 6);
}

TEST(Rfc3339, numeric_offset_is_subtracted) {
  EXPECT_EQ(parse_rfc3339("2026-01-02T05:04:05+02:00").value(), parse_rfc3339("2026-01-02T03:04:05Z").value());
  EXPECT_EQ(parse_rfc3339("2026-01-01T21:34:05-05:30").value(), parse_rfc3339("2026-01-02T03:04:05Z").value());
  EXPECT_EQ(parse_rfc3339("2026-01-02t03:04:05z").value(), parse_rfc3339("2026-01-02 03:04:05Z").value());
}

TEST(Rfc3339, leap_day_exists_only_in_leap_years) {
  EXPECT_TRUE(parse_rfc3339("2024-02-29T00:00:00Z").ok());
  EXPECT_FALSE(parse_rfc3339("2025-02-29T00:00:00Z").ok());
  EXPECT_FALSE(parse_rfc3339("2100-02-29T00:00:00Z").ok());
}

TEST(Rfc3339, malformed_times_are_refused) {
  for (const char* text : {"", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "2026-00-02T03:04:05Z", "2026-01-32T03:04:05Z",
                           "2026-01-02T24:00:00Z", "2026-01-02T03:60:05Z", "2026-01-02T03:04:61Z", "2026-01-02T03:04:05.Z",
                           "2026-01-02T03:04:05+2", "2026-01-02T03:04:05+0200", "2026-01-02T03:04:05+24:00", "2026-01-02T03:04:05-02:60",
                           "2026-01-02T03:04:05Zx", "-026-01-02T03:04:05Z", "2026/01/02T03:04:05Z", "2026-01-02T-3:04:05Z", "now"}) {
    const Result<TimePoint> result = parse_rfc3339(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(result.error().id, "time.malformed") << text;
    EXPECT_EQ(result.error().category, Category::kInvalidArgument) << text;
  }
}

TEST(Rfc3339, random_times_read_back_equal) {
  constexpr std::uint64_t kSeed = 11;
  SeededRng rng(kSeed);
  constexpr std::uint64_t kYear9999 = 253'402'300'799'999'999;
  for (int i = 0; i < 2000; ++i) {
    const TimePoint time = time_from_micros(static_cast<std::int64_t>(rng.below(kYear9999)));
    ASSERT_EQ(parse_rfc3339(to_rfc3339(time)).value(), time) << "seed " << kSeed << ": " << to_rfc3339(time);
  }
}

TEST(DurationText, units_and_their_sums_are_read) {
  EXPECT_EQ(parse_duration("90s").value(), 90s);
  EXPECT_EQ(parse_duration("1h30m").value(), 90min);
  EXPECT_EQ(parse_duration("250ms").value(), 250ms);
  EXPECT_EQ(parse_duration("7us").value(), 7us);
  EXPECT_EQ(parse_duration("2d").value(), 48h);
  EXPECT_EQ(parse_duration("0s").value(), 0s);
  EXPECT_EQ(parse_duration("1.5h").value(), 90min);
}

TEST(DurationText, malformed_durations_are_refused) {
  for (const char* text : {"",     "90",   "s",     "-5s", "-0s", "1h-30m", "5 s",    " 5s",         "5sec", "1hs",
                           "nans", "infs", "inf s", "nan", "+5s", "1..5s",  "1e400s", "9999999999d", "5S",   "1h30"}) {
    const Result<Duration> result = parse_duration(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(result.error().id, "spec.duration") << text;
  }
}

TEST(DurationText, sum_beyond_the_longest_duration_is_refused_not_wrapped) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "100000d";
  EXPECT_EQ(parse_duration(text).error().id, "spec.duration");
}

TEST(DurationText, written_durations_are_short_and_read_back_exactly) {
  EXPECT_EQ(format_duration(90min), "1h30m");
  EXPECT_EQ(format_duration(0s), "0s");
  EXPECT_EQ(format_duration(1s), "1s");
  EXPECT_EQ(format_duration(1500ms), "1s500ms");
  constexpr std::uint64_t kSeed = 12;
  SeededRng rng(kSeed);
  for (int i = 0; i < 2000; ++i) {
    const Duration duration(static_cast<std::int64_t>(rng.below(rng.below(2) == 0 ? 100'000'000 : 8'000'000'000'000'000)));
    ASSERT_EQ(parse_duration(format_duration(duration)).value(), duration) << "seed " << kSeed << ": " << format_duration(duration);
  }
}

TEST(SystemClock, both_readings_move_forward_and_agree_on_what_passed) {
  const SystemClock clock;
  const TimePoint wall = clock.now();
  const MonotonicPoint mono = clock.monotonic_now();
  EXPECT_GT(wall, parse_rfc3339("2024-01-01T00:00:00Z").value());
  EXPECT_GE(clock.monotonic_now(), mono);
}

}  // namespace
}  // namespace trainyard

#include "sim/svg.h"

#include <gtest/gtest.h>

#include "sim/testing/workloads.h"

namespace trainyard::sim {
namespace {

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++found;
  return found;
}

struct Drawn {
  Trace trace;
  Machine machine;
  SimulationResult result;

  std::string with(const PictureSettings& settings) const { return schedule_svg(trace, machine, result, settings); }
};

Drawn drawn(std::string_view rows, std::int64_t hosts, SimulationSettings settings) {
  Drawn all{testing::jobs(rows), equal_hosts(hosts).value(), {}};
  all.result = testing::run(all.trace, all.machine, std::move(settings));
  return all;
}

TEST(Picture, every_stretch_of_running_is_a_rectangle_with_its_job_and_times) {
  const std::string svg = drawn("a,0,10,,2\nb,0,5,,1\n", 3, testing::settings_of("easy")).with({.title = "t", .subtitle = "s"});
  EXPECT_EQ(count(svg, "<title>a: 0-10 s</title>"), 1U);
  EXPECT_EQ(count(svg, "<title>b: 0-5 s</title>"), 1U);
}

TEST(Picture, names_are_escaped) {
  const std::string svg = drawn("<a>&,0,10,,1\n", 1, testing::settings_of("easy")).with({.title = "<b>", .subtitle = "&"});
  EXPECT_EQ(svg.find("<b>"), std::string::npos);
  EXPECT_EQ(count(svg, "<title>&lt;a&gt;&amp;: 0-10 s</title>"), 1U);
  EXPECT_NE(svg.find("&lt;b&gt;"), std::string::npos);
}

TEST(Picture, lost_node_and_lost_attempt_are_drawn_and_explained) {
  SimulationSettings settings = testing::settings_of("easy");
  settings.faults.planned = {parse_loss("0@4+3").value()};
  const std::string svg = drawn("a,0,10,,1\n", 1, settings).with({.title = "t", .subtitle = "s"});
  for (const char* part :
       {">node away<", ">cut short<", "<title>node 0</title>", "<title>a: 0-4 s, FAILED</title>", "<title>a: 7-17 s</title>"}) {
    EXPECT_EQ(count(svg, part), 1U) << part;
  }
}

TEST(Picture, only_the_largest_stretches_are_drawn_and_the_picture_says_so) {
  const std::string svg = drawn("a,0,10,,1\nb,0,30,,1\nc,0,20,,1\n", 3, testing::settings_of("easy"))
                              .with({.title = "t", .subtitle = "s", .rectangles_max = 2});
  EXPECT_EQ(count(svg, "<title>a:"), 0U);
  EXPECT_EQ(count(svg, "<title>b:"), 1U);
  EXPECT_NE(svg.find("the 2 largest of 3 stretches are drawn"), std::string::npos);
}

TEST(Picture, curves_alone_have_no_rectangles_of_jobs) {
  const Drawn all = drawn("a,0,10,,1\n", 1, testing::settings_of("easy"));
  const std::string svg = all.with({.title = "t", .subtitle = "s", .gantt = false});
  EXPECT_EQ(count(svg, "<title>"), 0U);
  EXPECT_NE(svg.find("waiting jobs"), std::string::npos);
  EXPECT_LT(svg.size(), all.with({.title = "t", .subtitle = "s"}).size());
}

}  // namespace
}  // namespace trainyard::sim

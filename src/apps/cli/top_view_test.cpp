#include "apps/cli/top_view.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "apps/cli/output.h"

namespace trainyard::apps {
namespace {

TopData yard(std::size_t jobs) {
  TopData data;
  data.url = "http://here:1";
  data.nodes.push_back(
      parse_json(R"({"name":"n1","state":"ready","cpu":8,"memory":"64GiB","gpus":[{},{}],"used":{"cpu":2,"memory":"32GiB","gpu":1}})")
          .value());
  data.nodes.push_back(parse_json(R"({"name":"n2","state":"down","cpu":8,"memory":"64GiB"})").value());
  data.queues.push_back(parse_json(R"({"name":"vision","pending":3,"running":2,"stopped":true})").value());
  for (std::size_t i = 0; i < jobs; ++i) {
    data.jobs.push_back(Document::object({{"id", std::to_string(i + 1)},
                                          {"name", "job"},
                                          {"kind", "command"},
                                          {"state", i % 2 == 0 ? "RUNNING" : "QUEUED"},
                                          {"reason", "because"}}));
  }
  data.log_job = "1";
  for (int i = 0; i < 100; ++i) data.log.push_back(fmt::format("line {}\n", i));
  return data;
}

OutputStyle screen(std::size_t columns, std::size_t rows) { return {.live = true, .color = false, .columns = columns, .rows = rows}; }

TEST(TopPicture, every_part_is_on_the_screen) {
  const std::vector<std::string> lines = draw_top(yard(3), {}, screen(120, 30));
  const std::string text = fmt::format("{}\n", fmt::join(lines, "\n"));
  for (const char* part :
       {"QUEUES", "vision", "stopped", "NODES (2)",
        "n1               ready     cpu [###---------]       2/8 mem [######------]    32.0/64.0G gpu [######------] 1/2",
        "n2               down", "JOBS", "2 running, 1 queued", ">       1 job", "LOG of job 1", "line 99", "q quit"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST(TopPicture, fits_a_terminal_of_any_size) {
  for (std::size_t columns = 10; columns < 150; columns += 7) {
    for (std::size_t rows = 3; rows < 60; rows += 3) {
      const std::vector<std::string> lines = draw_top(yard(500), {}, screen(columns, rows));
      EXPECT_LE(lines.size(), rows) << columns << "x" << rows;
      for (const std::string& line : lines) {
        if (line.find('\x1b') == std::string::npos) {
          EXPECT_LE(columns_of(line), columns) << line;
        }
      }
    }
  }
}

TEST(TopPicture, selected_job_is_always_in_sight) {
  const TopData data = yard(200);
  TopState state;
  for (const char* id : {"1", "77", "200"}) {
    state.selected_job = id;
    const std::string text = fmt::format("{}", fmt::join(draw_top(data, state, screen(80, 24)), "\n"));
    EXPECT_NE(text.find(fmt::format("> {:>7} job", id)), std::string::npos) << text;
  }
}

TEST(TopPicture, data_that_is_not_fresh_is_said) {
  TopData data = yard(1);
  data.problem = "net.connect: nobody listens";
  EXPECT_NE(draw_top(data, {}, screen(80, 24)).back().find("not fresh: net.connect"), std::string::npos);
}

TEST(TopKeys, selection_moves_and_stays_inside) {
  const TopData data = yard(3);
  TopState state;
  press(state, data, TopKey::kUp);
  EXPECT_EQ(selected_job(state, data), 0U);
  press(state, data, TopKey::kDown);
  EXPECT_EQ(state.selected_job, "2");
  press(state, data, TopKey::kPageDown);
  EXPECT_EQ(state.selected_job, "3");
  press(state, data, TopKey::kTab);
  press(state, data, TopKey::kDown);
  EXPECT_EQ(state.selected_job, "3");
  EXPECT_EQ(state.selected_node, "n2");
}

TEST(TopKeys, cancel_needs_a_clear_yes) {
  const TopData data = yard(3);
  TopState state;
  EXPECT_EQ(press(state, data, TopKey::kCancel).cancel, "");
  EXPECT_EQ(state.asks_cancel, "1");
  EXPECT_EQ(press(state, data, TopKey::kDown).cancel, "");
  EXPECT_EQ(press(state, data, TopKey::kYes).cancel, "") << "the question was gone";
  press(state, data, TopKey::kCancel);
  EXPECT_EQ(press(state, data, TopKey::kYes).cancel, "1");
  EXPECT_TRUE(press(state, data, TopKey::kQuit).quit);
}

TEST(TopKeys, bytes_in_pieces_are_keys) {
  KeyReader keys;
  EXPECT_TRUE(keys.feed("\x1b").empty());
  EXPECT_TRUE(keys.feed("[").empty());
  EXPECT_EQ(keys.feed("Aq"), (std::vector<TopKey>{TopKey::kUp, TopKey::kQuit}));
  EXPECT_EQ(keys.feed("\x1b[5~zj\t"), (std::vector<TopKey>{TopKey::kPageUp, TopKey::kDown, TopKey::kTab}));
}

TEST(Bar, shows_a_share) {
  EXPECT_EQ(bar(0, 8, 4), "[----]");
  EXPECT_EQ(bar(0.01, 8, 4), "[#---]");
  EXPECT_EQ(bar(4, 8, 4), "[##--]");
  EXPECT_EQ(bar(99, 8, 4), "[####]");
  EXPECT_EQ(bar(1, 0, 4), "[#---]");
}

}  // namespace
}  // namespace trainyard::apps

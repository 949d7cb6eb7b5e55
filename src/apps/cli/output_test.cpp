#include "apps/cli/output.h"

#include <gtest/gtest.h>

#include "apps/cli/json_path.h"
#include "apps/cli/resources.h"
#include "base/time.h"

namespace trainyard::apps {
namespace {

const ResourceView& yard_view() {
  static const ResourceView view{"yard",
                                 "yards",
                                 "name",
                                 {{"NAME", "name"},
                                  {.title = "STATE", .key = "state", .state = true},
                                  {.title = "MORE", .key = "a.b", .wide = true},
                                  {"REASON", "reason"}}};
  return view;
}

Document yards() {
  return parse_json(R"({"yards":[{"name":"one","state":"RUNNING","a":{"b":7},"reason":"it runs"},
                                 {"name":"zwölf","state":"FAILED","reason":"a reason that is much longer than a terminal is wide"}]})")
      .value();
}

OutputSettings as(const std::string& format) {
  OutputSettings settings;
  settings.format = format;
  return settings;
}

TEST(ListText, table_is_aligned_whatever_the_letters) {
  EXPECT_EQ(list_text(as("table"), yards(), yard_view()),
            "NAME   STATE    REASON\n"
            "one    RUNNING  it runs\n"
            "zwölf  FAILED   a reason that is much longer than a terminal is wide\n");
}

TEST(ListText, wide_has_all_columns) {
  EXPECT_EQ(list_text(as("wide"), yards(), yard_view()).substr(0, 64),
            "NAME   STATE    MORE  REASON\n"
            "one    RUNNING  7     it runs\n"
            "zwöl");
}

TEST(ListText, table_is_cut_to_the_terminal) {
  OutputSettings settings = as("table");
  settings.is_terminal = true;
  settings.style.columns = 40;
  const std::string text = list_text(settings, yards(), yard_view());
  EXPECT_NE(text.find("zwölf  FAILED   a reason that is much l…\n"), std::string::npos) << text;
  settings.format = "wide";
  EXPECT_NE(list_text(settings, yards(), yard_view()).find("terminal is wide\n"), std::string::npos);
}

TEST(ListText, only_states_are_coloured) {
  OutputSettings settings = as("table");
  settings.style.color = true;
  const std::string text = list_text(settings, yards(), yard_view());
  EXPECT_TRUE(text.starts_with("NAME   STATE    REASON\none    \x1b[36mRUNNING\x1b[0m  it runs\n")) << text;
}

TEST(ListText, programs_get_ids_names_lines_and_paths) {
  OutputSettings quiet = as("json");
  quiet.quiet = true;
  EXPECT_EQ(list_text(quiet, yards(), yard_view()), "one\nzwölf\n");
  EXPECT_EQ(list_text(as("name"), yards(), yard_view()), "yard/one\nyard/zwölf\n");
  EXPECT_EQ(list_text(as("ndjson"), Document::object({{"yards", Document::array({yards()["yards"].items()[0]})}}), yard_view()),
            "{\"name\":\"one\",\"state\":\"RUNNING\",\"a\":{\"b\":7},\"reason\":\"it runs\"}\n");
  EXPECT_EQ(list_text(as("jsonpath=.yards[*].state"), yards(), yard_view()), "RUNNING\nFAILED\n");
  EXPECT_EQ(parse_json(list_text(as("json"), yards(), yard_view())).value(), yards());
  EXPECT_EQ(parse_yaml(list_text(as("yaml"), yards(), yard_view()), "x").value(), yards());
}

TEST(ListText, control_characters_cannot_reach_the_terminal) {
  const Document page = parse_json(R"({"yards":[{"name":"a\u001b[2Jb\nc","state":"x","reason":"y"}]})").value();
  const std::string text = list_text(as("table"), page, yard_view());
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

TEST(ListText, every_view_takes_items_that_say_little) {
  for (const ResourceView* view : all_views()) {
    const Document page = Document::object({{view->plural, Document::array({Document::object({{view->id, "x"}})})}});
    for (const char* format : {"table", "wide"}) {
      const std::string text = list_text(as(format), page, *view);
      EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << view->noun << text;
    }
    EXPECT_EQ(list_text(as("name"), page, *view), view->noun + "/x\n");
  }
}

TEST(ItemText, formats_are_those_of_lists) {
  const Document item = yards()["yards"].items()[0];
  const auto people = [](const Document&) { return std::string("hello\n"); };
  EXPECT_EQ(item_text(as("table"), item, yard_view(), people), "hello\n");
  EXPECT_EQ(item_text(as("name"), item, yard_view(), people), "yard/one\n");
  EXPECT_EQ(item_text(as("jsonpath=.a.b"), item, yard_view(), people), "7\n");
  EXPECT_EQ(parse_json(item_text(as("ndjson"), item, yard_view(), people)).value(), item);
}

TEST(TableRows, later_rows_keep_the_columns) {
  TableRows rows(yard_view(), as("table"));
  const Document page = yards();
  const std::string first = rows.first({&page["yards"].items()[1]}, true);
  EXPECT_EQ(rows.next(page["yards"].items()[0]), "one    RUNNING    it runs\n") << first;
}

TEST(JobsView, arrays_and_held_jobs_are_told) {
  const Document page = parse_json(R"({"jobs":[
      {"id":"20","name":"n","kind":"command","state":"QUEUED","held":true,"attempt":0,
       "array":{"count":10,"succeeded":3,"failed":1},"reason":"r"},
      {"id":"24","name":"n","kind":"command","state":"RUNNING","attempt":1,"array_parent":"20","array_index":3,
       "progress":{"done":1,"total":4},"reason":"r"}]})")
                            .value();
  EXPECT_EQ(list_text(as("table"), page, jobs_view()),
            "ID          NAME  KIND     STATE          ATTEMPT  PROGRESS  SUBMITTED  REASON\n"
            "20          n     command  QUEUED (held)  0        4/10      -          r\n"
            "24 (20[3])  n     command  RUNNING        1        25%       -          r\n");
}

TEST(NodesView, shows_use_beside_size) {
  const Document page = parse_json(R"({"nodes":[
      {"name":"a","state":"cordoned","pool":"p","cpu":8,"memory":"64GiB","gpus":[{},{}],
       "used":{"cpu":2.5,"memory":"16GiB","gpu":1},"ranks":3,"last_seen":"x"},
      {"name":"b","ready":true,"cpu":4,"memory":1048576}]})")
                            .value();
  EXPECT_EQ(list_text(as("table"), page, nodes_view()),
            "NAME  STATE     POOL  CPU    MEMORY           GPU  RANKS  SEEN\n"
            "a     cordoned  p     2.5/8  16.0GiB/64.0GiB  1/2  3      -\n"
            "b     ready     -     4      1MiB             -    -      -\n");
}

TEST(NodesView, large_numbers_are_written_out) {
  for (const auto& [cpu, shown] : {std::pair("100000", "100000"), std::pair("1234.5", "1234"), std::pair("0.25", "0.25"),
                                   std::pair("999.96", "1000"), std::pair("12", "12")})
    EXPECT_EQ(used_of(Document(), parse_json(cpu).value()), shown);
}

TEST(UsageView, seconds_are_shown_as_hours) {
  const Document page =
      parse_json(R"({"usage":[{"key":"ada","jobs":3,"cpu_seconds":7200,"gpu_seconds":0,"memory_gib_seconds":5400}]})").value();
  EXPECT_EQ(list_text(as("table"), page, usage_view()),
            "KEY  JOBS  CPU-HOURS  GPU-HOURS  GIB-HOURS\n"
            "ada  3     2.00       0.00       1.50\n");
}

TEST(Table, columns_are_aligned_and_lines_have_no_spaces_at_the_end) {
  EXPECT_EQ(table({"ID", "NAME", "STATE"}, {{"1", "long-name", "RUNNING"}, {"22", "b", ""}}),
            "ID  NAME       STATE\n1   long-name  RUNNING\n22  b\n");
}

TEST(Cell, values_are_shown_in_short) {
  EXPECT_EQ(cell("name", Document()), "-");
  EXPECT_EQ(cell("name", "x"), "x");
  EXPECT_EQ(cell("count", 3), "3");
  EXPECT_EQ(cell("ready", true), "true");
  EXPECT_EQ(cell("aliases", Document::object({{"champion", 1}, {"next", 2}})), "champion=1, next=2");
  EXPECT_EQ(cell("aliases", Document::object()), "-");
  EXPECT_EQ(cell("tags", Document::array({"a", "b"})), "a, b");
  EXPECT_EQ(cell("layers", parse_json(R"([{"layer":"raw","version":1,"rows":5},{"layer":"curated","version":2}])").value()),
            "raw@1, curated@2");
}

TEST(Cell, times_are_ages) {
  EXPECT_EQ(cell("created_at", to_rfc3339(SystemClock().now() - std::chrono::minutes(5))), "5m ago");
  EXPECT_EQ(age("not a time"), "-");
}

TEST(WriteOut, failure_is_said_once_with_its_cause_and_stays) {
  std::FILE* full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  EXPECT_FALSE(is_lost(full));
  ::testing::internal::CaptureStderr();
  write_out(full, "one\n");
  write_out(full, "two\n");
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(is_lost(full));
  EXPECT_NE(said.find("No space left on device"), std::string::npos) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  std::fclose(full);
}

std::string found(const std::string& expression, const std::string& json) {
  const Document document = parse_json(json).value();
  const Result<JsonPath> path = JsonPath::parse(expression);
  if (!path.ok()) return "refused";
  std::string text;
  for (const Document* one : path->find_in(document)) text += to_json(*one) + ";";
  return text;
}

TEST(JsonPath, leads_to_what_it_says) {
  const std::string json = R"({"a":[{"b":1},{"b":2},{"c":3}],"x y":{"d.e":4}})";
  EXPECT_EQ(found(".a[0].b", json), "1;");
  EXPECT_EQ(found("$.a[*].b", json), "1;2;");
  EXPECT_EQ(found("{.a[-1]}", json), "{\"c\":3};");
  EXPECT_EQ(found("a[1].b", json), "2;");
  EXPECT_EQ(found("['x y']['d.e']", json), "4;");
  EXPECT_EQ(found(".a.*.b", json), "1;2;");
  EXPECT_EQ(found(".a[9].b", json), "");
  EXPECT_EQ(found(".", "7"), "7;");
}

TEST(JsonPath, nonsense_is_refused) {
  for (const char* text : {".a[", ".a[x]", ".a..b", "['a'", ".a]", ".a b", "$x", "..", ".a[1", ".a."})
    EXPECT_EQ(found(text, "{}"), "refused") << text;
}

}  // namespace
}  // namespace trainyard::apps

#include "api/platform/paging.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace trainyard::api {
namespace {

TEST(Cursor, position_comes_back_for_the_same_question) {
  for (const std::string position : {"", "17", "a\"b\\c", "ü/\n", "0123456789012345678901234567890123456789"}) {
    const std::string cursor = make_cursor("state=RUNNING", position);
    EXPECT_EQ(cursor.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), std::string::npos) << cursor;
    EXPECT_EQ(read_cursor(cursor, "state=RUNNING").value(), position);
  }
}

TEST(Cursor, cursor_of_another_question_is_refused) {
  EXPECT_EQ(read_cursor(make_cursor("state=RUNNING", "17"), "state=QUEUED").error().id, "page.other_question");
}

TEST(Cursor, text_that_is_no_cursor_is_refused) {
  for (const std::string& text : {std::string(), std::string("17"), std::string("!!!"), std::string("e30"), std::string(10'000, 'A')}) {
    EXPECT_EQ(read_cursor(text, "").error().id, "page.cursor") << text.substr(0, 20);
  }
}

TEST(Cursor, damaged_cursor_never_yields_another_position) {
  const std::string cursor = make_cursor("state=RUNNING", "17");
  SeededRng rng(20'260'107);
  for (int i = 0; i < 5'000; ++i) {
    std::string damaged = cursor;
    damaged[rng.below(damaged.size())] = "ABCxyz019-_"[rng.below(11)];
    const Result<std::string> position = read_cursor(damaged, "state=RUNNING");
    ASSERT_EQ(position.ok() ? *position : "17", "17") << "only the unused bits of the last digit may differ: " << damaged;
  }
}

TEST(SelectFields, named_members_are_left_in_their_order) {
  const Document items = parse_json(R"([{"id":"1","name":"a","state":"X"},{"id":"2"}])").value();
  const std::vector<std::string> known{"id", "name", "state"};
  EXPECT_EQ(to_json(select_fields(items, "state,id", known).value()), R"([{"id":"1","state":"X"},{"id":"2"}])");
  EXPECT_EQ(select_fields(items, "", known).value(), items);
  const Error error = select_fields(items, "id,nmae", known).error();
  EXPECT_EQ(error.id, "query.fields");
  EXPECT_NE(error.message.find("did you mean \"name\"?"), std::string::npos);
}

}  // namespace
}  // namespace trainyard::api

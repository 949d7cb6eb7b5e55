#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "net/http.h"

namespace trainyard::apps {

/// Text as it may stand in HTML, between tags and in quoted attributes: everything that came from outside passes here. Control characters
/// other than tab and line breaks become U+FFFD.
std::string html_escape(std::string_view text);

/// The frame around one page for people.
struct Page {
  std::string title;           ///< Before " · Trainyard"; plain text.
  std::string body;            ///< HTML between header and end; everything from outside is escaped in it.
  int refresh_seconds = 0;     ///< The page asks for itself again after this time; 0: never.
  std::string refresh_target;  ///< What it asks for then; empty: itself.
  bool signed_in = false;      ///< Shows the button that ends the session.
};

/// A page with the headers that go with it: nothing but its own style sheet is loaded, no script runs, no other site may frame it, nothing
/// is stored.
net::Response page_response(int status, const Page& page);

/// The style sheet of every page, for light and dark screens of any width.
std::string_view page_style();

/// "<span class="state good">SUCCEEDED</span>": the state of a job, task, run or node. The word says what the colour says.
std::string state_badge(std::string_view state);

/// "just now", "42 s", "3 min", "5 h 12 min", "3 d".
std::string span_text(Duration span);
/// "3 min ago" with the exact time to hover over and for machines.
std::string time_ago(TimePoint time, TimePoint now);

/// How long something took or is taking: from `from` to `to`, or to now. A dash when it did not begin.
std::string took(const std::optional<TimePoint>& from, const std::optional<TimePoint>& to, TimePoint now);

/// The text of a table cell, or a dash that a screen reader skips.
std::string text_or_dash(std::string_view text);

/// A card with a table. `rows` empty: the sentence `empty` stands there instead, which says what to do.
struct TableCard {
  std::string_view id;  ///< Of the heading, for links and screen readers.
  std::string_view heading;
  std::string_view caption;
  std::string_view head;  ///< The cells of the head row.
  std::string rows;
  std::string_view empty;
  bool stacks = false;  ///< On a narrow screen a row becomes lines: number, name and state, below them the fourth cell.
};

std::string table_card(const TableCard& card);

}  // namespace trainyard::apps

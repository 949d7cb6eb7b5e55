#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/describe.h"
#include "net/route_doc.h"

namespace trainyard::api {

/// The place where the next page begins, as clients see it: opaque, checked, and good for the same question only. `question` is all that
/// the pages depend on, e.g. filter and order; `position` is the caller's own.
std::string make_cursor(std::string_view question, std::string_view position);
/// The position. Errors: INVALID_ARGUMENT "page.cursor" for a text that is no cursor, "page.other_question" for the cursor of another
/// question.
Result<std::string> read_cursor(std::string_view cursor, std::string_view question);

/// Cuts a list that is sorted by `name` to the page that `request` asks for by `limit` and `cursor`; sets `next` when there is more.
/// Errors: as read_cursor.
template <typename Item>
Result<void> take_page(const net::Request& request, std::string_view question, std::vector<Item>& items, std::optional<std::string>& next) {
  const auto limit = static_cast<std::size_t>(net::query_number(request, "limit", 100));
  if (const std::optional<std::string> cursor = request.query_value("cursor")) {
    ASSIGN_OR_RETURN(const std::string last, read_cursor(*cursor, question));
    std::erase_if(items, [&](const Item& item) { return item.name <= last; });
  }
  if (items.size() <= limit) return {};
  items.resize(limit);
  next = make_cursor(question, items.back().name);
  return {};
}

/// The usual parameters of lists.
net::ParameterDoc limit_parameter(std::int64_t fallback = 100, std::int64_t max = 1'000);
net::ParameterDoc cursor_parameter();
net::ParameterDoc fields_parameter();

/// The names of the fields of a described struct, in order.
std::vector<std::string> field_names(const DescribeFunction& describe);
template <Described T>
std::vector<std::string> field_names() {
  T value;
  return field_names([&value](FieldVisitor& fields) { value.describe(fields); });
}

/// The names that `fields=a,b` gives. Errors: INVALID_ARGUMENT "query.fields" with the nearest of the `known` names.
Result<std::vector<std::string>> wanted_fields(std::string_view fields, const std::vector<std::string>& known);

/// Leaves the members that `fields=a,b` names in each item of a list; an empty text leaves all. Errors: as wanted_fields.
Result<Document> select_fields(Document items, std::string_view fields, const std::vector<std::string>& known);

}  // namespace trainyard::api

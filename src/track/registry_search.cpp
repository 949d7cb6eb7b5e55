#include <fmt/format.h>

#include <algorithm>

#include "track/filter.h"
#include "track/internal/model_rows.h"
#include "track/internal/transaction.h"
#include "track/model_registry.h"
#include "track/page_token.h"

namespace trainyard::track {
namespace {

using store::Connection;

std::optional<std::string> tag_of(const std::vector<KeyValue>& tags, const std::string& key) {
  const auto found = std::find_if(tags.begin(), tags.end(), [&key](const KeyValue& tag) { return tag.key == key; });
  // Clients filter prompts out of every search by this tag; a model that never heard of prompts is none.
  if (found == tags.end()) return key == "mlflow.prompt.is_prompt" ? std::optional<std::string>("false") : std::nullopt;
  return found->value;
}

Error unknown_attribute(const std::string& key) { return invalid_argument("track.filter", fmt::format("Invalid attribute name: {}", key)); }

Result<bool> satisfies(const RegisteredModel& model, const FilterClause& clause) {
  if (clause.type == "tag") return text_matches(clause, tag_of(model.tags, clause.key));
  if (clause.type == "attribute" && clause.key == "name") return text_matches(clause, model.name);
  return unknown_attribute(clause.key);
}

Result<bool> satisfies(const ModelVersion& version, const FilterClause& clause) {
  if (clause.type == "tag") return text_matches(clause, tag_of(version.tags, clause.key));
  if (clause.type != "attribute") return unknown_attribute(clause.key);
  if (clause.key == "name") return text_matches(clause, version.model);
  if (clause.key == "run_id") return text_matches(clause, version.run.text);
  if (clause.key == "source_path") return text_matches(clause, version.source);
  if (clause.key == "version_number") return number_matches(clause, static_cast<double>(version.version));
  return unknown_attribute(clause.key);
}

int sign(const std::string& a, const std::string& b) { return a.compare(b); }
int sign(std::int64_t a, std::int64_t b) { return a < b ? -1 : (a > b ? 1 : 0); }

std::optional<int> compare_by(const std::string& key, const RegisteredModel& a, const RegisteredModel& b) {
  if (key == "name") return sign(a.name, b.name);
  if (key == "timestamp" || key == "last_updated_timestamp") return sign(a.updated_ms, b.updated_ms);
  if (key == "creation_timestamp") return sign(a.created_ms, b.created_ms);
  return std::nullopt;
}

std::optional<int> compare_by(const std::string& key, const ModelVersion& a, const ModelVersion& b) {
  if (key == "name") return sign(a.model, b.model);
  if (key == "version_number") return sign(a.version, b.version);
  if (key == "creation_timestamp") return sign(a.created_ms, b.created_ms);
  if (key == "last_updated_timestamp") return sign(a.updated_ms, b.updated_ms);
  return std::nullopt;
}

/// What satisfies every clause, in the order asked for, ties by `defaults`.
template <typename Item>
Result<std::vector<Item>> select(std::vector<Item> items, const RegistrySearch& search, const std::vector<OrderClause>& defaults) {
  ASSIGN_OR_RETURN(const std::vector<FilterClause> clauses, parse_filter(search.filter));
  ASSIGN_OR_RETURN(std::vector<OrderClause> orders, parse_order_by(search.order_by));
  for (const FilterClause& clause : clauses) TRY(satisfies(Item{}, clause));
  for (const OrderClause& order : orders) {
    if (order.type != "attribute" || !compare_by(order.key, Item{}, Item{})) {
      return invalid_argument("track.order_by", fmt::format("Invalid ordering key in order_by clause '{}'", order.key));
    }
  }
  orders.insert(orders.end(), defaults.begin(), defaults.end());
  std::erase_if(items, [&clauses](const Item& item) {
    return !std::all_of(clauses.begin(), clauses.end(),
                        [&item](const FilterClause& clause) { return satisfies(item, clause).value_or(false); });
  });
  std::sort(items.begin(), items.end(), [&orders](const Item& a, const Item& b) {
    for (const OrderClause& order : orders) {
      const int compared = compare_by(order.key, a, b).value_or(0);
      if (compared != 0) return (compared < 0) == order.ascending;
    }
    return false;
  });
  return items;
}

/// Cuts the page out of `items` and returns the token of the next one.
template <typename Item>
Result<std::string> cut_page(std::vector<Item>& items, const RegistrySearch& search, std::int64_t results_max) {
  if (search.max_results <= 0 || search.max_results > results_max) {
    return invalid_argument("track.max_results",
                            fmt::format("Invalid value {} for parameter 'max_results' supplied. It must be a positive integer "
                                        "and at most {}",
                                        search.max_results, results_max));
  }
  ASSIGN_OR_RETURN(const std::size_t offset, page_offset(search.page_token));
  const std::size_t end = std::min(items.size(), offset + static_cast<std::size_t>(search.max_results));
  std::string next = end < items.size() ? page_token(end) : std::string();
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(end), items.end());
  items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(std::min(offset, items.size())));
  return next;
}

}  // namespace

Result<ModelPage> ModelRegistry::search_models(const RegistrySearch& search) {
  ASSIGN_OR_RETURN(std::vector<RegisteredModel> all, internal::read_value<std::vector<RegisteredModel>>(
                                                         database_, [](Connection& sql) { return internal::load_models(sql, "", {}); }));
  ModelPage page;
  ASSIGN_OR_RETURN(page.models, select(std::move(all), search, {{"attribute", "name", true}}));
  ASSIGN_OR_RETURN(page.next_page_token, cut_page(page.models, search, 1000));
  return page;
}

Result<ModelVersionPage> ModelRegistry::search_versions(const RegistrySearch& search) {
  ASSIGN_OR_RETURN(std::vector<ModelVersion> all, internal::read_value<std::vector<ModelVersion>>(database_, [](Connection& sql) {
                     return internal::load_versions(sql, "1 = 1", {});
                   }));
  ModelVersionPage page;
  ASSIGN_OR_RETURN(
      page.versions,
      select(std::move(all), search,
             {{"attribute", "last_updated_timestamp", false}, {"attribute", "name", true}, {"attribute", "version_number", false}}));
  ASSIGN_OR_RETURN(page.next_page_token, cut_page(page.versions, search, 200'000));
  return page;
}

}  // namespace trainyard::track

#include "apps/cli/gathered_items.h"

#include <utility>

namespace trainyard::apps {
namespace {

bool is_one_document(const std::string& format) { return format == "json" || format == "yaml" || format.starts_with("jsonpath="); }

}  // namespace

GatheredItems::GatheredItems(const CommandContext& context, std::string plural, bool several)
    : context_(context), plural_(std::move(plural)), gathers_(several && !context.output.quiet && is_one_document(context.output.format)) {}

void GatheredItems::add(Document item, const ResourceView& view, const ForPeople& for_people) {
  if (!gathers_) return print_item(context_, item, view, for_people);
  kept_.push(std::move(item));
}

void GatheredItems::add_plain(Document document, const ForPeople& for_people) {
  if (!gathers_) return print(context_, document, for_people);
  kept_.push(std::move(document));
}

void GatheredItems::finish() {
  if (!gathers_) return;
  Document all = plural_.empty() ? std::move(kept_) : Document::object({{plural_, std::move(kept_)}});
  print(context_, all, [](const Document&) { return std::string(); });
}

}  // namespace trainyard::apps

#pragma once
#include <functional>
#include <string>

#include "apps/cli/command_line.h"

namespace trainyard::apps {

/// What one command says of several things. The formats for programs that make one document of all of it (json, yaml, jsonpath) get it at
/// the end; the others and people get each thing as it comes.
class GatheredItems {
 public:
  using ForPeople = std::function<std::string(const Document&)>;

  /// With a `plural` the document is {"PLURAL": [...]}, as `ls` prints it; without one, for things of several kinds, the bare list. When
  /// the command was given one thing alone, not `several`, that is printed by itself.
  GatheredItems(const CommandContext& context, std::string plural, bool several);

  /// Prints as print_item, or keeps it.
  void add(Document item, const ResourceView& view, const ForPeople& for_people);
  /// Prints as print, or keeps it.
  void add_plain(Document document, const ForPeople& for_people);
  /// Prints what was kept. To be called once, also after a failure: what was done before it stays done.
  void finish();

 private:
  const CommandContext& context_;
  std::string plural_;
  bool gathers_;
  Document kept_ = Document::array();
};

}  // namespace trainyard::apps

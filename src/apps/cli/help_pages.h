#pragma once
#include <span>
#include <string>
#include <string_view>

#include "apps/cli/command_tree.h"

namespace trainyard::apps {

/// The help of a command for a terminal, at most 100 columns wide.
std::string help_text(std::span<const CommandSpec> tree, const CommandSpec& command);

/// "trainyard job get [OPTIONS] [JOB]"
std::string usage_line(const CommandSpec& command);

/// Its manual page in roff with man(7) macros. `program_help` is what another program says about its options; empty for others.
std::string man_page(std::span<const CommandSpec> tree, const CommandSpec& command, std::string_view version,
                     std::string_view program_help);
/// "trainyard-job-get.1"
std::string man_page_file(const CommandSpec& command);

/// Every command in Markdown, for the guide.
std::string markdown_reference(std::span<const CommandSpec> tree);

/// "-f, --file FILE"
std::string option_title(const OptionSpec& option);
/// "JOB...", in brackets when it may be left out.
std::string argument_title(const ArgumentSpec& argument);
/// The sentence of an option with its preset.
std::string option_doc(const OptionSpec& option);

}  // namespace trainyard::apps

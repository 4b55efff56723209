//! Colours by meaning. `anstream` removes them where they are not wanted.

use anstyle::{AnsiColor, Style};

/// Something is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Something is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Something to know.
pub(crate) const NOTE: Style = AnsiColor::Cyan.on_default().bold();
/// Not as good as it could be.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// Less important.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Important.
pub(crate) const STRONG: Style = Style::new().bold();

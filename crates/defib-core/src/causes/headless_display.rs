//! Needs EGL, OSMesa or X and has none.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "headless-display",
    title: "No display for rendering",
    what: "Needs EGL, OSMesa or X and has none.",
    settled_by: "A qt.qpa or GLError line, exit 134, DISPLAY and PYOPENGL_PLATFORM as the child saw them.",
    taken_for: "a crash while showing results",
    by_hand: &["echo $DISPLAY $PYOPENGL_PLATFORM as the program sees them"],
    remedies: &["render off screen (EGL, OSMesa, Agg, offscreen), or xvfb-run"],
    remedy: Remedy::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"qt\.qpa\.(?:xcb|plugin|screen)|could not connect to display|Could not load the Qt platform plugin|no Qt platform plugin could be initialized"#,
        r#"|GLError|Unable to load (?:EGL|OSMesa|GLX) library|EGL: cannot open|eglInitialize|EGL_NOT_INITIALIZED|Unable to load OpenGL library|libOSMesa|'OSMesa'|libEGL\.so|libGL\.so|libGLX|GLXBadContext"#,
        r#"|_tkinter\.TclError: (?:no display name|couldn't connect to display)|cannot open display|Cannot connect to \"?%?s?\"?.*display|NoSuchDisplayException|glfw.*(?:X11|DISPLAY|display)|Xlib.error.DisplayConnectionError|DISPLAY environment variable"#,
        r#"|Cannot load backend '\w+' which requires the '\w+' interactive framework, as 'headless'|(?:failed to|cannot) create (?:an? )?(?:OpenGL|GL|EGL) context|xdg-open: no method available|no display name and no \$DISPLAY|[Uu]nable to open (?:X )?display|lib(?:GL|EGL|GLX|OSMesa|X11|xcb|SM|Xext|Xrender)\.so[.\d]*: cannot open|Missing X server|No protocol specified|[Ff]ailed to (?:open|connect to) (?:the )?(?:X |Wayland )?display|pyglet\.display|PlatformNotInitialized|X11: The DISPLAY|No available video device|The function is not implemented\. Rebuild the library with .*GTK"#,
    ))
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("it needs a display or an off-screen renderer and has none: {}", cut(&told.text(), 220));
    // A missing libGL is a missing display first, and only then a missing library.
    let rank = told.rank() - 1;
    Some(told.proof(explanation).rank(rank)
        .step("render off screen: PYOPENGL_PLATFORM=egl or osmesa, QT_QPA_PLATFORM=offscreen, MPLBACKEND=Agg, or run under xvfb-run"))
}

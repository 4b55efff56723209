use super::*;
use crate::log::Log;

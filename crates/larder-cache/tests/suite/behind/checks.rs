//! Claims of this folder that notice when a rule is left out: on this thread alone, for there a rule is left out.

use super::{accepting, flushing, on_this_thread};

pub(crate) fn what_is_written_while_it_is_flushed_is_flushed_again() {
    on_this_thread(flushing::what_is_written_while_it_is_flushed);
}

pub(crate) fn what_is_put_is_read_before_the_source_has_it() {
    on_this_thread(accepting::what_is_put_is_read_before_the_source_has_it);
}

//! Nothing: what a process costs that checks nothing.

fn main() {
    tell_memory();
}

include!("../../memory.rs");

/// Makes the CPU the device of what burn makes without being told where: the state of an optimizer that it loads, which it moves to
/// the parameters at the next step. Where CUDA is compiled in it would be the GPU, and a panic on a machine without one.
///
/// Must be called before any thread is started.
#[allow(unsafe_code)]
pub(super) fn set_to_the_cpu() {
    // SAFETY: no other thread reads the environment meanwhile, since there is none.
    unsafe {
        std::env::set_var("BURN_DEVICE", "flex");
    }
}

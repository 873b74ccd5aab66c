//! `libnftables`, the library that the program `nft` is made of, where this machine has it: to start a program for each
//! set of rules costs ten times what the rules do, and far more in a guest. It is looked for when it is wanted, so that nothing
//! depends on it.
//!
//! Source: nftables 1.1 include/nftables/libnftables.h.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::transmute;

/// `struct nft_ctx`, of which only the library knows what is in it.
type Context = *mut c_void;

/// The version of the library's interface that is spoken here.
const NAME: &CStr = c"libnftables.so.1";

type New = unsafe extern "C" fn(flags: u32) -> Context;
type Free = unsafe extern "C" fn(Context);
type Buffer = unsafe extern "C" fn(Context) -> c_int;
type Said = unsafe extern "C" fn(Context) -> *const c_char;
type Run = unsafe extern "C" fn(Context, *const c_char) -> c_int;

/// A context of the library: it talks to the network namespace in which it was made.
pub(in super::super) struct Nftables {
    context: Context,
    run: Run,
    output: Said,
    error: Said,
    free: Free,
}

impl Nftables {
    /// None where there is no such library.
    pub(in super::super) fn new() -> Option<Nftables> {
        // SAFETY: the name ends with a zero. The library is the system's own, and what it does when it is loaded needs no
        // more than any program that is linked with it. It is never unloaded.
        let library = unsafe { libc::dlopen(NAME.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
        if library.is_null() {
            return None;
        }
        let find = |name: &CStr| {
            // SAFETY: the library is there, and the name ends with a zero.
            let found = unsafe { libc::dlsym(library, name.as_ptr()) };
            (!found.is_null()).then_some(found)
        };
        let [new, free] = [find(c"nft_ctx_new")?, find(c"nft_ctx_free")?];
        let [buffer_output, buffer_error] = [find(c"nft_ctx_buffer_output")?, find(c"nft_ctx_buffer_error")?];
        let [output, error] = [find(c"nft_ctx_get_output_buffer")?, find(c"nft_ctx_get_error_buffer")?];
        let run = find(c"nft_run_cmd_from_buffer")?;
        // SAFETY: these are the types that the library's header declares for these names; a pointer to a function is as
        // large as one to anything else.
        unsafe {
            let context = transmute::<*mut c_void, New>(new)(0);
            let nftables = Nftables {
                context,
                run: transmute::<*mut c_void, Run>(run),
                output: transmute::<*mut c_void, Said>(output),
                error: transmute::<*mut c_void, Said>(error),
                free: transmute::<*mut c_void, Free>(free),
            };
            let [buffer_output, buffer_error] =
                [buffer_output, buffer_error].map(|found| transmute::<*mut c_void, Buffer>(found));
            let is_usable = !context.is_null() && buffer_output(context) == 0 && buffer_error(context) == 0;
            is_usable.then_some(nftables)
        }
    }

    /// Runs commands in one transaction: what they print, or what is wrong with them.
    pub(in super::super) fn run(&mut self, commands: &str) -> Result<String, String> {
        let commands = CString::new(commands).map_err(|error| error.to_string())?;
        // SAFETY: the context is the library's, and the text ends with a zero and outlives the call.
        let result = unsafe { (self.run)(self.context, commands.as_ptr()) };
        let said = if result == 0 { self.output } else { self.error };
        // SAFETY: the library keeps what it said until it is asked for something else, which takes `&mut self`.
        let said = unsafe {
            let said = said(self.context);
            if said.is_null() { String::new() } else { CStr::from_ptr(said).to_string_lossy().into_owned() }
        };
        // Its other buffer is emptied by being asked for.
        let other = if result == 0 { self.error } else { self.output };
        // SAFETY: as above; what is returned is not looked at.
        unsafe { other(self.context) };
        if result == 0 { Ok(said) } else { Err(said) }
    }
}

impl Drop for Nftables {
    fn drop(&mut self) {
        if !self.context.is_null() {
            // SAFETY: the context is the library's, and nobody has it after this.
            unsafe { (self.free)(self.context) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Nftables;

    #[test]
    fn it_says_what_is_wrong_and_goes_on() {
        let Some(mut nftables) = Nftables::new() else { return };
        for _ in 0..2 {
            let error = nftables.run("add nonsense").unwrap_err();
            assert!(error.contains("syntax error"), "{error}");
            // What needs no kernel.
            let described = nftables.run("describe ct state").unwrap();
            assert!(described.contains("untracked"), "{described}");
        }
    }
}

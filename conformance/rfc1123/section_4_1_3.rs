//! RFC 1123 §4.1.3: specific issues.

use crate::suite::prelude::*;

group! { "RFC 1123", "4.1.3", "rfc1123/section_4_1_3":
    Should xpwd "XPWD does what PWD does (4.1.3.1)";
    Should xmkd_and_xrmd "XMKD and XRMD do what MKD and RMD do (4.1.3.1)";
    Should xcwd_and_xcup "XCWD and XCUP do what CWD and CDUP do (4.1.3.1)";
}

fn xpwd(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let plain = s.want("PWD", &[257])?;
    let old = s.want("XPWD", &[257])?;
    s.check(plain == old, "XPWD tells something else")
}

fn xmkd_and_xrmd(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.want("XMKD d", &[257])?;
    s.done("CWD d")?;
    s.done("CDUP")?;
    s.want("XRMD d", &[250])?;
    s.refused("CWD d").map(drop)
}

fn xcwd_and_xcup(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let before = s.want("PWD", &[257])?;
    s.done("MKD d")?;
    s.want("XCWD d", &[200, 250])?;
    s.want("XCUP", &[200, 250])?;
    let after = s.want("PWD", &[257])?;
    s.check(before == after, "XCUP did not go back")
}

# Runs a program under a seccomp filter: barred.pl SYS_prctl ARCH ERRNO allow|deny NUMBERS PROGRAM ARGUMENTS. The calls with these
# NUMBERS (with commas between) are the only ones that work, or the only ones that do not: they fail with ERRNO. No NUMBERS and
# `stop`: no filter, and it stops before it runs the program, for whoever wants to trace it.
use strict;
my ($prctl, $arch, $errno, $how, $numbers, @program) = @ARGV;
if ($how eq 'stop') {
    kill 'STOP', $$;
} else {
    # linux/bpf_common.h, linux/seccomp.h
    my ($load, $equals, $return) = (0x20, 0x15, 0x06);
    my ($allow, $fail) = (0x7fff0000, 0x00050000 | $errno);
    my ($listed, $others) = $how eq 'allow' ? ($allow, $fail) : ($fail, $allow);
    my @filter = ([$load, 0, 0, 4], [$equals, 1, 0, $arch], [$return, 0, 0, $allow], [$load, 0, 0, 0]);
    push @filter, [$equals, 0, 1, $_], [$return, 0, 0, $listed] for split /,/, $numbers;
    push @filter, [$return, 0, 0, $others];
    my $code = join '', map { pack 'S C C L', @$_ } @filter;
    my $filter = pack 'S x![Q] P', scalar @filter, $code;
    syscall($prctl, 38, 1, 0, 0, 0) == 0 or die "PR_SET_NO_NEW_PRIVS: $!\n";
    syscall($prctl, 22, 2, $filter) == 0 or die "PR_SET_SECCOMP: $!\n";
}
exec { $program[0] } @program or die "$program[0]: $!\n";

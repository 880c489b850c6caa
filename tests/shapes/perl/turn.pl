#!/usr/bin/perl
print scalar reverse($ARGV[0]), "\n";

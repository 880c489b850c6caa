puts (1..ARGV[0].to_i).reduce(:*)

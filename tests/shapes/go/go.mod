module oven

go 1.19

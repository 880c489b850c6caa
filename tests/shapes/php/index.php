<?php echo "PHP says ", 3 + 4, "\n";

"""Verilog says everything once, and names nothing before it is declared."""

from gatewright.hdl.tidy import tidy_verilog

MODULE = """\
module top(a, b, c, d);
  input [3:0] a;
  wire [3:0] a;
  input signed [3:0] b;
  wire signed [3:0] b;
  output [3:0] c;
  reg [3:0] c;
  output d;
  wire d;
  wire [3:0] sum;
  wire early;
  wire \\odd.name ;
  wire [3:0] part;
  assign \\odd.name  = early;
  assign early = a[0];
  assign sum = a + b;
  assign part[1:0] = sum[1:0];
  assign part[3:2] = a[3:2];
  assign d = sum[0];
  child child (
    .early(early)
  );
endmodule
"""


def test_everything_is_said_once():
    text = tidy_verilog(MODULE)
    assert "  wire [3:0] sum = a + b;\n" in text
    assert text.count("sum;") == 0
    assert "wire [3:0] a;" not in text
    assert "wire signed [3:0] b;" not in text
    assert "  output [3:0] c;\n  reg [3:0] c;\n" in text


def test_nets_that_are_named_before_or_in_parts_stay():
    text = tidy_verilog(MODULE)
    assert "  wire early;\n" in text
    assert "  assign early = a[0];\n" in text
    assert "  wire [3:0] part;\n" in text
    assert "  output d;\n  wire [3:0] part;\n" not in text
    assert "  assign d = sum[0];\n" in text


def test_modules_do_not_mix():
    again = MODULE.replace("  wire [3:0] sum;\n", "").replace("module top", "module other")
    text = tidy_verilog(MODULE + "\n" + again)
    assert text.count("wire [3:0] sum") == 1
    assert "  assign sum = a + b;\n" in text


def test_tidy_text_stays():
    assert tidy_verilog(tidy_verilog(MODULE)) == tidy_verilog(MODULE)

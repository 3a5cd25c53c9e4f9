jk_test(intake/wire_receipt USES intake_wire)
